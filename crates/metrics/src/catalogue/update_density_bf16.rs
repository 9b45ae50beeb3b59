//! # Measures
//! How many weights a bf16 copy of the model would see change, whatever the files are stored in.
//!
//! # Formula
//! `1 - mean[|w1 - w0| <= eta max(|w0|, |w1|)]` with eta = 1e-3, both rounded to bf16 first (ties to even). Neighbouring
//! bf16 values differ by 1/256 or more of the larger, so this is exactly `mean[bf16(w1) != bf16(w0)]`, and it is computed
//! so.
//!
//! # Unit
//! Share of weights, 0 to 1.
//!
//! # Direction
//! High = many weights changed visibly.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Read as where training wanted to go: see `update-density`, which it equals on files in bf16.
//!
//! # Source
//! The Path Not Taken, arXiv 2511.08567; eta as reported there.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use super::delta::share;
use crate::{DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("update-density-bf16"),
        title: Cow::Borrowed("Update density in bf16"),
        summary: Cow::Borrowed(
            "Share of entries that differ by more than a thousandth of the larger, both taken as bf16.",
        ),
        unit: Cow::Borrowed("share of weights"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed(
            "bf16 absorbs updates below about |w|/256: the share follows 1/rms of the base (see base-rms).",
        ),
    },
    source: include_str!("update_density_bf16.rs"),
    kind: Kind::Delta {
        needs: DeltaNeeds::SUMS,
        score: |facts, _| facts.of_pair(|sums| share(sums.changed_bf16, sums)),
    },
};
