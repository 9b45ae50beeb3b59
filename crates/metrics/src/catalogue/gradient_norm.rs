//! # Measures
//! Where training on this text would move first: the norm of the gradient of the loss to the cell's weights.
//!
//! # Formula
//! `||G||_F`, `G = dL/dW`; L is the mean loss of the text's scored tokens.
//! The interval is a jackknife over sequences on a logarithmic scale, because the resampled norm of a noisy mean lies
//! above the norm itself. It needs at least two sequences. Leaving a sequence out is computed on 2048 weights, as for
//! `taylor`.
//!
//! # Unit
//! Nats per token per weight unit.
//!
//! # Direction
//! High = steep.
//!
//! # Cost
//! As `taylor`, with which it shares the weight gradients.
//!
//! # Misleads when
//! The text is short: the mean of T noisy gradients has a norm of about their size over the root of T even where the
//! loss is flat. A cell with small weights has large gradients by scaling alone; `relative-gradient-norm` is not free
//! of that either.
//!
//! # Source
//! Gradient norms per layer as in Surgical Fine-Tuning, arXiv 2210.11466.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("gradient-norm"),
        title: Cow::Borrowed("Gradient norm"),
        summary: Cow::Borrowed("Frobenius norm of dL/dW: how steeply the loss falls if this cell is trained."),
        unit: Cow::Borrowed("nats per token per weight unit"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed(
            "Of this text and this point: a step of training changes it. Rescaling weights without changing the function changes it.",
        ),
    },
    source: include_str!("gradient_norm.rs"),
    kind: Kind::Gradients { formula: GradientFormula::Whole(|whole| Ok(whole.norm)) },
};
