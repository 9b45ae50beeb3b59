//! # Measures
//! How many directions W uses, when every direction counts by its share of all singular values.
//!
//! # Formula
//! `exp(-sum_i p_i ln p_i)` with `p_i = sigma_i / sum_j sigma_j`; between 1 and r = min(m, n). Shares are of singular values,
//! not of their squares.
//!
//! # Unit
//! Directions.
//!
//! # Direction
//! High: needs many directions, so it is hard to compress.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric.
//!
//! # Misleads when
//! Columns of different shape are compared: a random 576 x 576 matrix has .805 r, a random 192 x 576 one .953 r. Read
//! `effective-rank@null` across columns. WeightWatcher's `entropy` takes shares of `sigma^2` and divides the entropy by
//! ln(rank): another number.
//!
//! # Source
//! Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality (EUSIPCO).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::spectral::{effective_rank, no_spectrum, zero_matrix};
use crate::{Facts, Kind, Metric, Needs, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("effective-rank"),
        title: Cow::Borrowed("Effective rank"),
        summary: Cow::Borrowed("Exponential of the entropy of the singular values' shares"),
        unit: Cow::Borrowed("directions"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Depends on the shape: compare inside a column, or relative to random."),
    },
    source: include_str!("effective_rank.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, ..Needs::NONE }, score, null: Some(0) },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    match facts.spectrum() {
        [] => no_spectrum(),
        sigma => effective_rank(sigma).map_or_else(zero_matrix, Score::from_value),
    }
}
