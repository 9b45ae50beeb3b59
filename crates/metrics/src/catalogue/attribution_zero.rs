//! # Measures
//! What the loss would change by if the cell's output became zero, to first order: all ablations from one reverse pass.
//!
//! # Formula
//! `sum_t g_t . (0 - y_t)`, `g_t = dL/dy_t`, y with its bias; L is the mean loss of the text's scored tokens.
//!
//! # Unit
//! Nats per token; signed.
//!
//! # Direction
//! High = the loss rises without it. Negative: it falls.
//!
//! # Cost
//! A sweep over the outputs and their gradients; no weight gradients.
//!
//! # Misleads when
//! The way to zero is curved, as it is for q and k (softmax) and wherever a norm follows (there the first order is
//! zero). Positive and negative tokens cancel. It is exact where the loss is linear in the output.
//! As zero ablation itself, q and k, v and o, and up, gate and down have much in common.
//!
//! # Source
//! Attribution patching (Nanda 2023; Syed et al., arXiv 2310.10348); AtP*, arXiv 2403.00745, on where it fails.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, GradientReads, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("attribution-zero"),
        title: Cow::Borrowed("Attribution, zero"),
        summary: Cow::Borrowed("First-order change of the loss when the cell's output becomes zero."),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: Some(0.0),
        proxy: true,
        caveat: Cow::Borrowed(
            "First order, and zero is far from every output: expect the order of cells, not the size.",
        ),
    },
    source: include_str!("attribution_zero.rs"),
    kind: Kind::Gradients {
        formula: GradientFormula::Sums {
            reads: GradientReads { products: true, ..GradientReads::NONE },
            score: |sums| sums.zero / sums.tokens,
            squared: false,
        },
    },
};
