//! # Measures
//! The part of the change that is mere rescaling: by how much the base would have to be multiplied to come nearest to the
//! tuned cell.
//!
//! # Formula
//! `|c - 1|` with `c = <W0, W1> / ||W0||_F^2`. Computed as `|<W0, dW>| / ||W0||_F^2`, so that a small change is not the
//! difference of two large numbers.
//!
//! # Unit
//! Ratio; .38 is 38 % longer or shorter along the base.
//!
//! # Direction
//! High = rescaled.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! A scale is a symmetry of the model in places (between v and o, up and down, a norm and what reads it): it can move
//! without any change of what is computed. Weight decay shrinks every matrix alike.
//!
//! # Source
//! Least squares of W1 on W0; `delta-direction` is the rest.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{ZERO_BASE, undefined};
use crate::{DeltaNeeds, Kind, Metric, PairSums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-scale"),
        title: Cow::Borrowed("Change of scale"),
        summary: Cow::Borrowed("How far the best multiple of the weights before is from 1."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("A factor can move to a neighbouring norm or matrix without changing the model."),
    },
    source: include_str!("delta_scale.rs"),
    kind: Kind::Delta { needs: DeltaNeeds::SUMS, score: |facts, _| facts.of_pair(score) },
};

fn score(sums: &PairSums) -> Score {
    if sums.base2 == 0.0 {
        return undefined(ZERO_BASE);
    }
    Score::from_value((sums.dot / sums.base2).abs())
}
