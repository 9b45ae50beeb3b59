//! # Measures
//! The cell's share of what `taylor` measures: a map that sums to 1.
//!
//! # Formula
//! `sum_ij |W_ij G_ij|` of the cell over the same sum over all cells, `G = dL/dW`; L is the mean loss of the text's
//! scored tokens. The head and the embedding are not cells and not in the sum.
//! The interval is a jackknife over sequences on a logarithmic scale, because the resampled norm of a noisy mean lies
//! above the norm itself. It needs at least two sequences. Cell and sum leave out the same sequence.
//!
//! # Unit
//! Share; all cells together give 1.
//!
//! # Direction
//! High = keep.
//!
//! # Cost
//! As `taylor`, with which it shares everything. There is no value until all cells have been seen.
//!
//! # Misleads when
//! A large cell takes a large share whatever its weights do. Made for pruning before training; of a trained model the
//! gradient is mostly noise of the text.
//!
//! # Source
//! Lee et al. 2018, arXiv 1810.02340; there normalised over the weights that can be pruned, here summed by cell.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, Kind, Metric, WholeGradient};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("snip"),
        title: Cow::Borrowed("SNIP"),
        summary: Cow::Borrowed("The cell's share in the sum of |w dL/dw| over all cells."),
        unit: Cow::Borrowed("share"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Additive,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Follows the number of weights; first order, of single weights."),
    },
    source: include_str!("snip.rs"),
    kind: Kind::Gradients { formula: GradientFormula::Whole(share) },
};

fn share(whole: &WholeGradient) -> Result<f64, &'static str> {
    if whole.model_taylor == 0.0 { Err("no weight has a gradient") } else { Ok(whole.taylor / whole.model_taylor) }
}
