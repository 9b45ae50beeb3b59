//! The factors of one cell, in memory.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use tomo_checkpoint::{Source, TensorInfo};

use crate::cell::Storage;
use crate::error::{ModelError, quoted};

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
    /// No change of an `m x n` matrix.
    pub fn none(rows: usize, cols: usize) -> Self {
        Self { rows, cols, rank: 0, a: Vec::new(), b: Vec::new(), scaling: 0.0, magnitude: None }
    }

    /// The product, to be had some rows at a time.
    pub fn product(&self) -> Product {
        Product {
            cols: self.cols,
            rank: self.rank,
            a: self.a.iter().map(|x| f64::from(*x)).collect(),
            b: self.b.iter().map(|x| self.scaling * f64::from(*x)).collect(),
        }
    }

    /// W1 from W0, both `m x n`; no other matrix is formed. Sums are f64, and what is left is rounded once.
    ///
    /// A row of W0 + s B A that is zero has no direction; with a magnitude it becomes NaN, as in PEFT.
    pub fn tuned(&self, base: &[f32], out: &mut [f32]) {
        let width = self.cols.max(1);
        let product = self.product();
        let mut sum = vec![0.0; ROWS * width];
        let blocks = base.chunks(ROWS * width).zip(out.chunks_mut(ROWS * width));
        for (number, (base, out)) in blocks.enumerate() {
            let (first, rows) = (number * ROWS, base.len() / width);
            let sum = &mut sum[..base.len()];
            product.rows(first..first + rows, sum);
            sum.iter_mut().zip(base).for_each(|(sum, w)| *sum += f64::from(*w));
            if let Some(magnitude) = &self.magnitude {
                for (row, norm) in sum.chunks_exact_mut(width).zip(&magnitude[first..]) {
                    let factor = f64::from(*norm) / row.iter().map(|x| x * x).sum::<f64>().sqrt();
                    row.iter_mut().for_each(|x| *x *= factor);
                }
            }
            out.iter_mut().zip(sum).for_each(|(out, sum)| *out = *sum as f32);
        }
    }
}

/// Rows that are formed together: a few hundred kB for the widest matrices.
const ROWS: usize = 32;

/// `scaling B A`, of which rows are formed as they are wanted.
pub struct Product {
    cols: usize,
    rank: usize,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Product {
    /// Rows `rows` into `out`, `[rows, n]`.
    ///
    /// # Panics
    /// When `rows` is out of range or `out` has another length.
    pub fn rows(&self, rows: Range<usize>, out: &mut [f64]) {
        let Self { cols, rank, .. } = *self;
        let height = rows.len();
        let b = MatRef::from_row_major_slice(&self.b[rows.start * rank..rows.end * rank], height, rank);
        let a = MatRef::from_row_major_slice(&self.a, rank, cols);
        matmul(MatMut::from_row_major_slice_mut(out, height, cols), Accum::Replace, b, a, 1.0, Par::Seq);
    }
}

/// Where the factors of one cell are.
#[derive(Clone, PartialEq, Debug)]
pub struct FactorSource {
    /// Tensor of A.
    pub(crate) a: TensorInfo,
    /// Tensor of B.
    pub(crate) b: TensorInfo,
    /// Tensor of the magnitudes.
    pub(crate) magnitude: Option<TensorInfo>,
    /// Rows of B, and of the magnitudes, that are the cell's.
    pub(crate) storage: Storage,
    /// m.
    pub(crate) out_features: u64,
    /// n.
    pub(crate) in_features: u64,
    /// r.
    pub(crate) rank: u64,
    /// alpha.
    pub(crate) alpha: f64,
    /// alpha / r, or alpha / sqrt(r).
    pub(crate) scaling: f64,
    /// Which of how many experts: A is `[E, r, n]`, B `[m, r, E]`.
    pub(crate) expert: Option<(u64, u64)>,
}

impl FactorSource {
    /// Name of the tensor that holds B.
    pub fn tensor(&self) -> &str {
        &self.b.name
    }

    /// r.
    pub fn rank(&self) -> u64 {
        self.rank
    }

    /// alpha.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// What B A is multiplied by.
    pub fn scaling(&self) -> f64 {
        self.scaling
    }

    /// Bytes of the adapter that hold them; of a fused module the cell's share.
    pub fn bytes(&self) -> u64 {
        let (_, experts) = self.expert.unwrap_or((0, 1));
        let of_b = self.b.bytes / self.b.shape.first().copied().unwrap_or(1).max(1) * self.out_features;
        (self.a.bytes + of_b) / experts.max(1)
    }

    pub(crate) fn load(&self, source: &dyn Source) -> Result<Factors, ModelError> {
        let n = |n: u64| {
            usize::try_from(n).map_err(|_| ModelError::Unsupported {
                tensor: quoted(&self.b.name),
                reason: "does not fit in this machine's memory".to_owned(),
            })
        };
        let (expert, experts) = self.expert.unwrap_or((0, 1));
        let (rows, cols, rank) = (n(self.out_features)?, n(self.in_features)?, n(self.rank)?);
        let mut a = vec![0.0; n(self.rank * self.in_features)?];
        let first = expert * self.rank * self.in_features;
        source.decode(&self.a.name, first..first + self.rank * self.in_features, &mut a)?;
        let wide = decode_rows(
            source,
            &self.b,
            self.storage,
            self.rank * experts,
            n(self.out_features * self.rank * experts)?,
        )?;
        let (expert, experts) = (n(expert)?, n(experts)?);
        let b = if experts == 1 { wide } else { wide.into_iter().skip(expert).step_by(experts).collect() };
        let magnitude =
            self.magnitude.as_ref().map(|tensor| decode_rows(source, tensor, self.storage, 1, rows)).transpose()?;
        Ok(Factors { rows, cols, rank, a, b, scaling: self.scaling, magnitude })
    }
}

/// The rows that `storage` names of a tensor with rows of `width`, `length` values in all.
fn decode_rows(
    source: &dyn Source,
    tensor: &TensorInfo,
    storage: Storage,
    width: u64,
    length: usize,
) -> Result<Vec<f32>, ModelError> {
    let mut out = vec![0.0; length];
    let run = usize::try_from(storage.length * width).unwrap_or(usize::MAX).max(1);
    let mut row = storage.start;
    for out in out.chunks_exact_mut(run) {
        source.decode(&tensor.name, row * width..(row + storage.length) * width, out)?;
        row += storage.stride;
    }
    Ok(out)
}
