//! # Measures
//! How many weights of a cell changed by more than a fixed amount: the number behind published claims of sparsity (which
//! are 1 minus it).
//!
//! # Formula
//! `1 - mean[|dW| <= 1e-5]`. As in the reference code both checkpoints are rounded to bf16 first, and their difference
//! again; the tolerance is 1e-5 rounded to bf16 (1.0014e-5), since `torch.isclose` compares in the tensors' type.
//!
//! # Unit
//! Share of weights, 0 to 1.
//!
//! # Direction
//! High = many weights changed.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Weights are small: the spacing of bf16 falls below 1e-5 where |w| < 1.3e-3, and changes of such weights do not count
//! even where all of them changed. Compare with `update-density`.
//!
//! # Source
//! Mukherjee et al. 2025, arXiv 2505.11711: `torch.isclose(delta, 0, atol=1e-5)` in `check_sparsity.py` of
//! SagnikMukherjee/sparsity_in_rl (c0d5511; the file as of 21997f5).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use super::delta::share;
use crate::{DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("update-density-tol"),
        title: Cow::Borrowed("Update density beyond 1e-5"),
        summary: Cow::Borrowed("Share of entries that changed by more than 1e-5, both checkpoints taken as bf16."),
        unit: Cow::Borrowed("share of weights"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("An absolute tolerance hides changes of small weights."),
    },
    source: include_str!("update_density_tol.rs"),
    kind: Kind::Delta {
        needs: DeltaNeeds::SUMS,
        score: |facts, _| facts.of_pair(|sums| share(sums.changed_beyond, sums)),
    },
};
