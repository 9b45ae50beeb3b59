//! # Measures
//! Over how many entries the change must be spread at least, from two norms alone.
//!
//! # Formula
//! `(E|dW|)^2 / E[dW^2]` = `||dW||_1^2 / (m n ||dW||_F^2)`: by Cauchy and Schwarz no more than the share of entries with
//! dW != 0, and equal to it where all changes are of one size.
//!
//! # Unit
//! Share of weights, 0 to 1.
//!
//! # Direction
//! High = spread evenly.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Taken for the density: a dense Gaussian change has 2/pi = .637, a dense Laplace one .5, a few large entries pull it
//! towards 0.
//!
//! # Source
//! Cauchy-Schwarz inequality.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{UNCHANGED, undefined};
use crate::{ChangeSums, DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("density-lower-bound"),
        title: Cow::Borrowed("Least density by norms"),
        summary: Cow::Borrowed("The smallest share of entries that can carry a change of these norms."),
        unit: Cow::Borrowed("share of weights"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed(
            "A bound, not a count: even updates give 1, Gaussian ones 0.64, whatever share of weights they touch.",
        ),
    },
    source: include_str!("density_lower_bound.rs"),
    kind: Kind::Delta { needs: DeltaNeeds::SUMS, score: |facts, _| facts.of_change(score) },
};

fn score(sums: &ChangeSums) -> Score {
    if sums.delta2 == 0.0 {
        return undefined(UNCHANGED);
    }
    Score::from_value(sums.delta_abs / sums.count * (sums.delta_abs / sums.delta2))
}
