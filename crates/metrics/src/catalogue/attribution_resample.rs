//! # Measures
//! What the loss would change by if the cell's output were the one it gives on another sequence, at the same position,
//! to first order.
//!
//! # Formula
//! `sum_t g_t . (y'_t - y_t)`, `g_t = dL/dy_t`, y' the output at the same position of the next sequence (of the first
//! after the last); L is the mean loss of the text's scored tokens. Positions that the next sequence does not have are
//! left as they are.
//! A resample draws a sequence together with its partner.
//!
//! # Unit
//! Nats per token; signed.
//!
//! # Direction
//! High = the loss rises. Negative: it falls.
//!
//! # Cost
//! A sweep over the outputs and their gradients, and in memory, of one layer, the gradients of one sequence and the
//! outputs of another.
//!
//! # Misleads when
//! The way is curved. There are few sequences: each has one partner only. Not for experts, whose tokens have no
//! partner; not for one sequence.
//!
//! # Source
//! Attribution patching (Nanda 2023; Syed et al., arXiv 2310.10348) with resample ablation as the edit.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, GradientReads, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("attribution-resample"),
        title: Cow::Borrowed("Attribution, resample"),
        summary: Cow::Borrowed(
            "First-order change of the loss when the cell's output becomes that of another sequence.",
        ),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: Some(0.0),
        proxy: true,
        caveat: Cow::Borrowed("First order; one other sequence stands for all."),
    },
    source: include_str!("attribution_resample.rs"),
    kind: Kind::Gradients {
        formula: GradientFormula::Sums {
            reads: GradientReads { resample: true, ..GradientReads::NONE },
            score: |sums| sums.resample / sums.tokens,
            squared: false,
        },
    },
};
