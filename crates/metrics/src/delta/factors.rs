use std::ops::Range;

/// A change of low rank: `W1 = W0 + scaling B A`, where rows are then brought to given norms if there is a magnitude (DoRA).
#[derive(Clone, PartialEq, Debug)]
pub struct Factors {
    /// Output features m.
    pub rows: usize,
    /// Input features n.
    pub cols: usize,
    /// Rows of A and columns of B.
    pub rank: usize,
    /// A, `[rank, n]`, row-major.
    pub a: Vec<f32>,
    /// B, `[m, rank]`, row-major.
    pub b: Vec<f32>,
    /// What the product is multiplied by.
    pub scaling: f64,
    /// Norm of every row of W1, `[m]`; rows keep the norm they come to where `None`.
    pub magnitude: Option<Vec<f32>>,
}

impl Factors {
    /// Rows `rows` of `scaling B A`, `[rows, n]`, in f64.
    pub fn product_rows(&self, rows: Range<usize>) -> Vec<f64> {
        let mut out = vec![0.0; rows.len() * self.cols];
        for (row, out) in rows.zip(out.chunks_exact_mut(self.cols.max(1))) {
            for (b, a) in self.b[row * self.rank..][..self.rank].iter().zip(self.a.chunks_exact(self.cols.max(1))) {
                let factor = self.scaling * f64::from(*b);
                out.iter_mut().zip(a).for_each(|(sum, a)| *sum += factor * f64::from(*a));
            }
        }
        out
    }

    /// Rows `rows` of W1 into `out`, `[rows, n]`, from the same rows of W0.
    pub fn tuned_rows(&self, rows: Range<usize>, base: &[f32], out: &mut [f32]) {
        let first = rows.start;
        let mut sum = self.product_rows(rows);
        sum.iter_mut().zip(base).for_each(|(sum, w)| *sum += f64::from(*w));
        if let Some(magnitude) = &self.magnitude {
            for (row, norm) in sum.chunks_exact_mut(self.cols.max(1)).zip(&magnitude[first..]) {
                let factor = f64::from(*norm) / row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter_mut().for_each(|x| *x *= factor);
            }
        }
        out.iter_mut().zip(&sum).for_each(|(out, sum)| *out = *sum as f32);
    }
}
