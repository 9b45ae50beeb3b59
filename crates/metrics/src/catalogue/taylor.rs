//! # Measures
//! How much the loss depends on the cell's weights, each taken by itself: the first-order change of the loss when a
//! weight goes to zero, in size, summed.
//!
//! # Formula
//! `sum_ij |W_ij G_ij|`, `G = dL/dW`; L is the mean loss of the text's scored tokens.
//! The interval is a jackknife over sequences on a logarithmic scale, because the resampled norm of a noisy mean lies
//! above the norm itself. It needs at least two sequences. Leaving a sequence out is computed on 2048 weights drawn
//! with probabilities that follow |w G| and G^2 of the first sequence, each weighed by its inverse probability; the
//! value itself is the sum over all weights.
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = important.
//!
//! # Cost
//! A reverse pass with weight gradients: one product per cell more than output gradients take, and the gradients of one
//! layer in memory.
//!
//! # Misleads when
//! The model is trained on such text: then G is mostly noise, and falls with the number of tokens. It grows with the
//! number of weights (divide by them to compare shapes), and says nothing of weights that matter together.
//!
//! # Source
//! Molchanov et al. 2019, arXiv 1906.10771; as used for language models by LLM-Pruner, arXiv 2305.11627 (element-wise
//! form).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("taylor"),
        title: Cow::Borrowed("Taylor"),
        summary: Cow::Borrowed(
            "Sum of |w dL/dw| over the weights: the loss that small changes of the single weights could cost.",
        ),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Additive,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed(
            "First order, of single weights: large gradients of opposite sign count in full; at a minimum of the loss all of it is noise of the text.",
        ),
    },
    source: include_str!("taylor.rs"),
    kind: Kind::Gradients { formula: GradientFormula::Whole(|whole| Ok(whole.taylor)) },
};
