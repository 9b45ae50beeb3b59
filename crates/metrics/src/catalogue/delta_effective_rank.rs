//! # Measures
//! How many directions the change uses, when every direction counts by its share of all singular values.
//!
//! # Formula
//! `exp(-sum_i p_i ln p_i)` with `p_i = sigma_i / sum_j sigma_j`, singular values of dW; between 1 and r = min(m, n).
//!
//! # Unit
//! Directions.
//!
//! # Direction
//! Low = concentrated, as the change of a LoRA run is.
//!
//! # Cost
//! Singular values of dW, shared by the metrics of its rank; one decomposition a cell.
//!
//! # Misleads when
//! Columns of different shape are compared: noise has .80 r where the matrix is square and .95 r where it is 3 to 1.
//! Rounding of bf16 adds noise to a small change, and raises it.
//!
//! # Source
//! Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality (EUSIPCO).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{UNCHANGED, undefined};
use super::spectral::effective_rank;
use crate::{DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-effective-rank"),
        title: Cow::Borrowed("Effective rank of the change"),
        summary: Cow::Borrowed("Directions that the change uses, each by its share of all its singular values."),
        unit: Cow::Borrowed("directions"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::Low,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Depends on the shape: compare inside a column."),
    },
    source: include_str!("delta_effective_rank.rs"),
    kind: Kind::Delta {
        needs: DeltaNeeds { delta_spectrum: true, ..DeltaNeeds::NONE },
        score: |facts, _| facts.of_delta_spectrum(score),
    },
};

fn score(sigma: &[f64]) -> Score {
    effective_rank(sigma).map_or_else(|| undefined(UNCHANGED), Score::from_value)
}
