//! # What it does
//! Keeps the cell's largest singular values and drops the others: `rank:32` keeps 32, `rank:0.5` half of min(m, n).
//!
//! # Algorithm
//! `W' = sum_{i <= r} s_i u_i v_i^T`, the best approximation of W of rank r in the Frobenius and the spectral norm. SVD and sum
//! in f64. A share is rounded to the nearest number of values, at least one. A rank of min(m, n) or more leaves the cell as it
//! is, to the bit, and that is said.
//!
//! # Misleads when
//! Neighbouring singular values at the cut are equal: which of their directions stays is then arbitrary. Inputs are far from
//! equal in all directions: what is small in W may be large in W x.
//!
//! # Source
//! LASER (Sharma et al. 2023, arXiv 2312.13558); Eckart and Young 1936.

use std::fmt;

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, Par};

use tomo_map::CellId;

use super::Edit;
use crate::engine::{CellWeights, EngineError, Rewrite};

/// How much of a matrix is kept.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// So many singular values, 1 or more.
    Count(usize),
    /// A share of min(m, n), above 0, at most 1.
    Share(f64),
}

impl Rank {
    /// Singular values kept of a matrix that has `most`.
    pub fn of(self, most: usize) -> usize {
        match self {
            Self::Count(count) => count.min(most),
            Self::Share(share) => ((share * most as f64).round() as usize).clamp(1.min(most), most),
        }
    }
}

impl fmt::Display for Rank {
    /// A share always has a point, so that 1 is one value and 1.0 all of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(share) => write!(f, "{share:?}"),
        }
    }
}

pub(super) fn parse(words: &[&str]) -> Option<Edit> {
    let [word] = words else { return None };
    let rank = match word.bytes().all(|b| b.is_ascii_digit()) {
        true => Rank::Count(word.parse().ok().filter(|count| *count > 0)?),
        false => Rank::Share(word.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0)?),
    };
    Some(Edit::Rank(rank))
}

/// Keeps `rank` singular values.
pub(super) struct LowRank {
    pub(super) cell: CellId,
    pub(super) rank: usize,
}

impl Rewrite for LowRank {
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        let (rows, cols) = (weights.values.len() / weights.cols.max(1), weights.cols);
        let size = rows.min(cols);
        let kept = self.rank.min(size);
        let matrix = Mat::<f64>::from_fn(rows, cols, |i, j| f64::from(weights.values[i * cols + j]));
        let (mut left, mut right) = (Mat::<f64>::zeros(rows, size), Mat::<f64>::zeros(cols, size));
        let mut values = Diag::<f64>::zeros(size);
        let (par, thin) = (Par::rayon(0), ComputeSvdVectors::Thin);
        let scratch = svd_scratch::<f64>(rows, cols, thin, thin, par, Default::default());
        let mut memory = MemBuffer::new(scratch);
        svd(
            matrix.as_ref(),
            values.as_mut(),
            Some(left.as_mut()),
            Some(right.as_mut()),
            par,
            MemStack::new(&mut memory),
            Default::default(),
        )
        .map_err(|_| EngineError::Rewrite {
            cell: self.cell.to_string(),
            reason: "its singular values do not converge".to_owned(),
        })?;
        for at in 0..kept {
            let value = values.column_vector()[at];
            left.col_mut(at).iter_mut().for_each(|x| *x *= value);
        }
        let mut product = matrix;
        matmul(product.as_mut(), Accum::Replace, left.subcols(0, kept), right.subcols(0, kept).transpose(), 1.0, par);
        for (i, row) in out.chunks_exact_mut(cols.max(1)).enumerate() {
            row.iter_mut().enumerate().for_each(|(j, w)| *w = product[(i, j)] as f32);
        }
        Ok(())
    }
}
