//! # Measures
//! The typical size of a weight of the base. Not a change: it stands beside the densities, since a type with a relative
//! spacing absorbs the same update where weights are large and keeps it where they are small.
//!
//! # Formula
//! `||W0||_F / sqrt(m n)`, summed in f64.
//!
//! # Unit
//! Weight units (those of the checkpoint).
//!
//! # Direction
//! Neither.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Read alone: it says nothing of what training did. What matters is how much of a density its reciprocal explains.
//!
//! # Source
//! The absorption rule |dw| < |w|/256 of bf16: arXiv 2602.03839.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use crate::{DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("base-rms"),
        title: Cow::Borrowed("RMS weight before"),
        summary: Cow::Borrowed("Root mean square of the weights before the change."),
        unit: Cow::Borrowed("weight units"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::Neutral,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Scale can move between matrices without changing the model."),
    },
    source: include_str!("base_rms.rs"),
    kind: Kind::Delta {
        needs: DeltaNeeds::SUMS,
        score: |facts, _| facts.of_pair(|sums| Score::from_value((sums.base2 / sums.change.count).sqrt())),
    },
};
