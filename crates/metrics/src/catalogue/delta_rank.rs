//! # Measures
//! Whether the change is of low rank, as that of a LoRA run is.
//!
//! # Formula
//! Number of singular values of dW above `max(m, n) eps sigma_1`, over r = min(m, n), with eps = 2^-23: the default
//! tolerance of `torch.linalg.matrix_rank` on float32. dW is the difference of the decoded weights; the reference code
//! rounds it to bf16 first, which raises the rank.
//!
//! # Unit
//! Share of directions, 0 to 1; 0 where nothing changed.
//!
//! # Direction
//! High = full rank.
//!
//! # Cost
//! Singular values of dW, shared by the metrics of its rank; one decomposition a cell.
//!
//! # Misleads when
//! A low-rank change was merged into bf16 weights: rounding adds a full-rank remainder, and the count says 1. The
//! remainder's size shows in `delta-stable-rank` and `delta-effective-rank`, which it hardly moves.
//!
//! # Source
//! `src/update_rank.py` of SagnikMukherjee/sparsity_in_rl (c0d5511).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use crate::{DeltaFacts, DeltaNeeds, Kind, Metric, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-rank"),
        title: Cow::Borrowed("Rank of the change"),
        summary: Cow::Borrowed("Share of directions in which the change is numerically not 0."),
        unit: Cow::Borrowed("share of directions"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed(
            "Rounding makes it full: the difference of two bf16 checkpoints of a low-rank run is not of low rank.",
        ),
    },
    source: include_str!("delta_rank.rs"),
    kind: Kind::Delta { needs: DeltaNeeds { delta_spectrum: true, ..DeltaNeeds::NONE }, score },
};

fn score(facts: &DeltaFacts, _: &Options) -> Score {
    let long = facts.rows.max(facts.cols) as f64;
    facts.of_delta_spectrum(|sigma| {
        let floor = sigma.first().map_or(0.0, |top| top * long * f64::from(f32::EPSILON));
        let count = sigma.iter().filter(|s| **s > floor).count();
        Score::from_value(count as f64 / sigma.len() as f64)
    })
}
