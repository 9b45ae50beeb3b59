//! # Measures
//! Where training on this text would move weights most relative to their size.
//!
//! # Formula
//! `||G||_F / ||W||_F`, `G = dL/dW`; L is the mean loss of the text's scored tokens.
//! The interval is a jackknife over sequences on a logarithmic scale, because the resampled norm of a noisy mean lies
//! above the norm itself. It needs at least two sequences. Leaving a sequence out is computed on 2048 weights, as for
//! `taylor`.
//!
//! # Unit
//! Nats per token per weight unit squared.
//!
//! # Direction
//! High = would move.
//!
//! # Cost
//! As `gradient-norm`.
//!
//! # Misleads when
//! Weights are scaled without changing the function: the ratio goes with the inverse square of the scale. A short
//! text's gradient is mostly noise.
//!
//! # Source
//! Auto-RGN of Surgical Fine-Tuning, arXiv 2210.11466, by cell.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, Kind, Metric, WholeGradient};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("relative-gradient-norm"),
        title: Cow::Borrowed("Relative gradient norm"),
        summary: Cow::Borrowed("Frobenius norm of dL/dW over that of W."),
        unit: Cow::Borrowed("nats per token per weight unit^2"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Of this text and this point; a large value may mean small weights only."),
    },
    source: include_str!("relative_gradient_norm.rs"),
    kind: Kind::Gradients { formula: GradientFormula::Whole(relative) },
};

fn relative(whole: &WholeGradient) -> Result<f64, &'static str> {
    if whole.weight_norm == 0.0 { Err("all weights are zero") } else { Ok(whole.norm / whole.weight_norm) }
}
