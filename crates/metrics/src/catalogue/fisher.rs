//! # Measures
//! How steep the loss is in the cell's weights, sequence by sequence: the trace of the empirical Fisher information of
//! the cell.
//!
//! # Formula
//! `mean_s ||G_s||_F^2`, `G_s = dL_s/dW`, L_s the mean loss of the scored tokens of sequence s. Not the square of the
//! mean gradient.
//!
//! # Unit
//! Nats squared per weight unit squared.
//!
//! # Direction
//! High = steep.
//!
//! # Cost
//! A reverse pass with the weight gradients of every sequence by itself: one product per cell and a sweep over the
//! gradient per sequence.
//!
//! # Misleads when
//! It is read as bits needed. It is not fragility: what a format does to a cell is curvature times the *actual* error,
//! and the error is large where weights are large and the gradient, by the same scaling, small. Bits given by Fisher
//! trace were reported to be worse than bits given in the inverse order (zellige.ai, "Importance is not fragility"; not
//! reviewed). Use `quant-taylor-*` or `predicted-kl-*`.
//! Empirical: the labels are the text's, so what the model cannot predict counts most. Any rescaling that leaves the
//! function as it is changes it.
//!
//! # Source
//! Empirical Fisher as in EWC (arXiv 1612.00796) and SqueezeLLM (arXiv 2306.07629), per sequence.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, GradientReads, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("fisher"),
        title: Cow::Borrowed("Fisher"),
        summary: Cow::Borrowed(
            "Mean over sequences of the squared norm of dL/dW: trace of the empirical Fisher information.",
        ),
        unit: Cow::Borrowed("nats^2 per weight unit^2"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Additive,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed(
            "Curvature, not fragility: it does not predict which cells lose most when they are stored in fewer bits.",
        ),
    },
    source: include_str!("fisher.rs"),
    kind: Kind::Gradients {
        formula: GradientFormula::Sums {
            reads: GradientReads { squares: true, ..GradientReads::NONE },
            score: |sums| sums.squares / sums.sequences,
            squared: false,
        },
    },
};
