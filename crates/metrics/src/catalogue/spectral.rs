//! What the spectral metrics say alike.

use tomo_map::{Score, Status};

use crate::Facts;

/// The score of a cell without a decomposition.
pub(super) fn no_spectrum() -> Score {
    Score::missing(Status::Undefined, "no singular values: the matrix is empty or has entries that are not finite")
}

/// The score of a cell whose weights are all 0, where shares of nothing are asked for.
pub(super) fn zero_matrix() -> Score {
    Score::missing(Status::Undefined, "all weights are 0")
}

/// Exponential of the entropy of the singular values' shares; `None` where all are 0.
pub(super) fn effective_rank(sigma: &[f64]) -> Option<f64> {
    let total: f64 = sigma.iter().sum();
    let entropy: f64 = sigma.iter().filter(|s| **s > 0.0).map(|s| s / total).map(|p| -p * p.ln()).sum();
    (total > 0.0).then(|| entropy.exp())
}

/// `sigma^2`, ascending.
pub(super) fn ascending_eigenvalues(facts: &Facts<'_>) -> Vec<f64> {
    facts.spectrum().iter().rev().map(|s| s * s).collect()
}
