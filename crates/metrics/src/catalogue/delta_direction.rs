//! # Measures
//! The part of the change that is no rescaling: how far the tuned cell points away from the base. It is the sine of the
//! angle between the two as vectors.
//!
//! # Formula
//! `||W1 - c W0||_F / ||W1||_F` with `c = <W0, W1> / ||W0||_F^2`. Computed from `||W1 - c W0||^2 = ||dW||^2 - <W0, dW>^2
//! / ||W0||^2`; what lies below the rounding of these sums (about 1e-7 of `||dW||`) is 0.
//!
//! # Unit
//! Ratio between 0 and 1.
//!
//! # Direction
//! High = turned.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Checkpoints of different formats are compared: quantization turns every cell by about its relative error (.08 for
//! Q4_0), bf16 by about .002. A pair in bf16 that was rescaled by anything but a power of two shows that much.
//!
//! # Source
//! Least squares of W1 on W0; `delta-scale` is the other part.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{ZERO_TUNED, undefined};
use crate::{DeltaNeeds, Kind, Metric, PairSums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-direction"),
        title: Cow::Borrowed("Change of direction"),
        summary: Cow::Borrowed("What is left of the change when the best multiple of the weights before is taken off."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Rounding of either checkpoint counts as a change of direction."),
    },
    source: include_str!("delta_direction.rs"),
    kind: Kind::Delta { needs: DeltaNeeds::SUMS, score: |facts, _| facts.of_pair(score) },
};

/// Sums carry relative errors of about 1e-15; what is left of the difference below this share of `||dW||^2` is theirs.
const RESOLUTION: f64 = 1e-14;

fn score(sums: &PairSums) -> Score {
    if sums.tuned2 == 0.0 {
        return undefined(ZERO_TUNED);
    }
    // Of a base of zeros nothing is along it: all of W1 is new direction.
    let along2 = if sums.base2 == 0.0 { 0.0 } else { sums.dot * (sums.dot / sums.base2) };
    let across2 = sums.change.delta2 - along2;
    let across2 = if across2 <= RESOLUTION * sums.change.delta2 { 0.0 } else { across2 };
    Score::from_value((across2 / sums.tuned2).sqrt())
}
