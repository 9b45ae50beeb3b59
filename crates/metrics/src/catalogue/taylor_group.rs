//! # Measures
//! The first-order change of the loss if all weights of the cell went to zero together, squared.
//!
//! # Formula
//! `(sum_ij W_ij G_ij)^2 = (sum_t g_t . (y_t - b))^2`, `g_t = dL/dy_t`, b the bias; L is the mean loss of the text's
//! scored tokens.
//! The interval is the squares of all numbers in the bootstrap interval of the sum: it reaches down to 0 where the
//! sum's contains 0.
//!
//! # Unit
//! Nats per token, squared.
//!
//! # Direction
//! High = important.
//!
//! # Cost
//! A sweep over the outputs and their gradients; no weight gradients.
//!
//! # Misleads when
//! Nearly always in size: zero is far away, and the loss is not linear on the way. Contributions cancel, over tokens
//! and weights. Where the loss does not depend on the size of the output (a norm follows), it is zero whatever the cell
//! does.
//!
//! # Source
//! Molchanov et al. 2019, arXiv 1906.10771, equation for groups; LLM-Pruner, arXiv 2305.11627 (vector-wise form).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, GradientReads, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("taylor-group"),
        title: Cow::Borrowed("Taylor, whole cell"),
        summary: Cow::Borrowed("Square of the first-order change of the loss when the whole cell goes to zero."),
        unit: Cow::Borrowed("(nats per token)^2"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed(
            "First order far from where it holds: zeroing a cell is no small change. Signs of weights cancel.",
        ),
    },
    source: include_str!("taylor_group.rs"),
    kind: Kind::Gradients {
        formula: GradientFormula::Sums {
            reads: GradientReads { products: true, ..GradientReads::NONE },
            score: |sums| sums.product / sums.tokens,
            squared: true,
        },
    },
};
