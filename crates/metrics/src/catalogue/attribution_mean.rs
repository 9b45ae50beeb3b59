//! # Measures
//! What the loss would change by if the cell's output were the same at every token, its mean over the text, to first
//! order.
//!
//! # Formula
//! `sum_t g_t . (m - y_t)`, `g_t = dL/dy_t`, m the mean of y over all positions of all sequences; L is the mean loss of
//! the text's scored tokens. Of an expert, the tokens routed to it. Resamples keep m, which belongs to the question and
//! not to the answer.
//!
//! # Unit
//! Nats per token; signed.
//!
//! # Direction
//! High = the loss rises. Negative: it falls.
//!
//! # Cost
//! A sweep over the outputs and their gradients; two vectors as long as the output per sequence of one layer.
//!
//! # Misleads when
//! The way to the mean is curved. One token with a giant output (often the first) pulls the mean to where no token is.
//!
//! # Source
//! Attribution patching (Nanda 2023; Syed et al., arXiv 2310.10348) with mean ablation as the edit.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, GradientReads, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("attribution-mean"),
        title: Cow::Borrowed("Attribution, mean"),
        summary: Cow::Borrowed("First-order change of the loss when the cell's output becomes its mean over the text."),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: Some(0.0),
        proxy: true,
        caveat: Cow::Borrowed("First order; what the mean carries (a bias, a position) is not counted as lost."),
    },
    source: include_str!("attribution_mean.rs"),
    kind: Kind::Gradients {
        formula: GradientFormula::Sums {
            reads: GradientReads { mean: true, ..GradientReads::NONE },
            score: |sums| sums.mean / sums.tokens,
            squared: false,
        },
    },
};
