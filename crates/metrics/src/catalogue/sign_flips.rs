//! # Measures
//! How many weights went through 0, or to 0.
//!
//! # Formula
//! `mean[sign(w1) != sign(w0)]` over the entries with `w0 != 0`; a weight that became 0 counts.
//!
//! # Unit
//! Share of weights, 0 to 1.
//!
//! # Direction
//! High = many changed sides.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Read as the size of the change: weights near 0 flip at a touch. A quantized side rounds small weights to 0, which
//! counts.
//!
//! # Source
//! Sign conflicts as in TIES-Merging, arXiv 2306.01708, with threshold 0.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{ZERO_BASE, undefined};
use crate::{DeltaNeeds, Kind, Metric, PairSums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("sign-flips"),
        title: Cow::Borrowed("Sign flips"),
        summary: Cow::Borrowed("Share of the weights that were not 0 whose sign is another."),
        unit: Cow::Borrowed("share of weights"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed(
            "Small weights flip first: the share says more of their number than of the size of the change.",
        ),
    },
    source: include_str!("sign_flips.rs"),
    kind: Kind::Delta { needs: DeltaNeeds::SUMS, score: |facts, _| facts.of_pair(score) },
};

fn score(sums: &PairSums) -> Score {
    if sums.nonzero == 0 {
        return undefined(ZERO_BASE);
    }
    Score::from_value(sums.flipped as f64 / sums.nonzero as f64)
}
