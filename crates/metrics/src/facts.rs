use std::cell::{OnceCell, RefCell};

use crate::order_statistics::robust_sd;
use crate::spectrum::{Workspace, singular_values};

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
    workspace: Option<&'a RefCell<Workspace>>,
    threads: usize,
}

impl<'a> Facts<'a> {
    /// Facts of one matrix, none computed yet.
    pub fn new(matrix: Matrix<'a>) -> Self {
        Self {
            matrix,
            moments: OnceCell::new(),
            spectrum: OnceCell::new(),
            robust_sd: OnceCell::new(),
            workspace: None,
            threads: 1,
        }
    }

    /// The same, with buffers that outlive the cell and the number of threads that one fact may use.
    #[must_use]
    pub fn with_workspace(mut self, workspace: &'a RefCell<Workspace>, threads: usize) -> Self {
        self.workspace = Some(workspace);
        self.threads = threads;
        self
    }

    /// Facts of a `rows x cols` matrix of which only the singular values (descending) are known: what a random matrix of
    /// that shape has. Metrics that read entries see none.
    pub fn from_spectrum(rows: usize, cols: usize, singular_values: Vec<f64>) -> Self {
        let facts = Self::new(Matrix { rows, cols, values: &[] });
        let _ = facts.spectrum.set(singular_values);
        facts
    }

    /// Power sums over the entries.
    pub fn moments(&self) -> &Moments {
        self.moments.get_or_init(|| crate::moments::sweep(self.matrix.values))
    }

    /// Singular values, descending, `min(rows, cols)` of them; zeros where the Gram matrix cannot tell them from zero.
    /// Empty when the decomposition failed, which takes entries that are not finite.
    pub fn spectrum(&self) -> &[f64] {
        self.spectrum.get_or_init(|| match self.workspace {
            Some(workspace) => singular_values(self.matrix, &mut workspace.borrow_mut(), self.threads),
            None => singular_values(self.matrix, &mut Workspace::default(), self.threads),
        })
    }

    /// Robust standard deviation of the entries: median absolute deviation / 0.6745.
    pub fn robust_sd(&self) -> f64 {
        *self.robust_sd.get_or_init(|| match self.workspace {
            Some(workspace) => robust_sd(self.matrix.values, workspace.borrow_mut().entries()),
            None => robust_sd(self.matrix.values, &mut Vec::new()),
        })
    }
}
