//! # Measures
//! How heavy the tail of W's spectrum is: the exponent of the power law that fits its upper end best.
//!
//! # Formula
//! Eigenvalues `lambda = sigma^2` above 1e-5, ascending, N of them. For every start i, with n = N - i:
//! `alpha_i = 1 + n / sum_{j>=i} ln(lambda_j / lambda_i)` and
//! `D_i = max_k |1 - (lambda_{i+k} / lambda_i)^(1 - alpha_i) - k / n|`. The score is the alpha of the smallest D. With fewer than 20
//! eigenvalues `n - 1` replaces n in alpha and the tail holds at least 8.
//!
//! # Unit
//! Exponent.
//!
//! # Direction
//! Low: near 2 the layer is said to be well trained; above 6 under-trained, below 2 over-trained. The claim is about the
//! quality of training, not about what breaks when the cell is changed.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric, and at most r^2 / 2 exponentials, most of which are
//! given up early without changing the result.
//!
//! # Misleads when
//! There are fewer than about 200 eigenvalues (keys and values of small models), since alpha depends strongly on where the tail starts
//! and two starts may fit nearly equally well. Random matrices score 9 to 38, by shape: across columns read `pl-alpha@null`.
//! The cut at 1e-5 is absolute, so a checkpoint with very small weights loses eigenvalues to it.
//!
//! # Source
//! Martin and Mahoney 2021 (1810.01075; Nature Communications 12:4122); followed: weightwatcher 0.7.7, `WWFit` as `analyze`
//! calls it by default.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score, Status};

use super::spectral::{ascending_eigenvalues, no_spectrum};
use crate::{Facts, Kind, Metric, Needs, Options, power_law};

/// Eigenvalues up to here are taken for zero.
const SMALLEST_EIGENVALUE: f64 = 1e-5;
/// Fewest eigenvalues that are fitted.
const FEWEST: usize = 8;

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("pl-alpha"),
        title: Cow::Borrowed("Power-law exponent"),
        summary: Cow::Borrowed(
            "Exponent of the power law that best fits the tail of the spectrum (WeightWatcher's alpha)",
        ),
        unit: Cow::Borrowed("exponent"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::Low,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Noisy below 200 eigenvalues; depends on where the tail is made to start."),
    },
    source: include_str!("pl_alpha.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, ..Needs::NONE }, score, null: Some(0) },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    if facts.spectrum().is_empty() {
        return no_spectrum();
    }
    let mut values = ascending_eigenvalues(facts);
    values.drain(..values.partition_point(|x| *x <= SMALLEST_EIGENVALUE));
    if values.len() < FEWEST {
        let reason = format!("{} eigenvalues above {SMALLEST_EIGENVALUE:e}: a fit takes {FEWEST}", values.len());
        return Score::missing(Status::Undefined, reason);
    }
    match power_law::fit(&values) {
        Some(fit) => Score::from_value(fit.alpha),
        None => Score::missing(Status::Undefined, "the eigenvalues have no spread to fit"),
    }
}
