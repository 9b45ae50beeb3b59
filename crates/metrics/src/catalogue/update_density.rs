//! # Measures
//! How many weights of a cell training touched and left touched, exactly.
//!
//! # Formula
//! `mean[w1 != w0]` over all entries, decoded, or as `--cast` rounds both. +0 and -0 are equal.
//!
//! # Unit
//! Share of weights, 0 to 1.
//!
//! # Direction
//! High = many weights changed; by how much is not asked.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Read as where training wanted to go. Stored in bf16, a weight keeps its value unless the update exceeds about |w|/256
//! (half a spacing): equal updates leave few traces where weights are large and many where they are small. So it is
//! printed beside `base-rms`. In f32 nearly every weight differs; across formats every one does, by rounding.
//!
//! # Source
//! Mukherjee et al. 2025, arXiv 2505.11711: `check_sparsity.py` of SagnikMukherjee/sparsity_in_rl (c0d5511; the file as
//! of 21997f5), which loads both models in bf16 and counts `delta != 0` per tensor. Absorption by bf16: arXiv 2602.03839.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use super::delta::share;
use crate::{DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("update-density"),
        title: Cow::Borrowed("Update density"),
        summary: Cow::Borrowed("Share of entries that differ between the two checkpoints as stored."),
        unit: Cow::Borrowed("share of weights"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed(
            "A type absorbs updates smaller than its spacing, in bf16 about |w|/256: the share follows 1/rms of the base (see base-rms).",
        ),
    },
    source: include_str!("update_density.rs"),
    kind: Kind::Delta { needs: DeltaNeeds::SUMS, score: |facts, _| facts.of_pair(|sums| share(sums.changed, sums)) },
};
