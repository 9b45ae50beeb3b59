//! # Measures
//! How much a whole layer turns the residual stream.
//!
//! # Formula
//! `1 - mean_t cos(h_in, h_out)`, the residual before and after the layer; tokens where either is zero are left out.
//!
//! # Unit
//! 1 - cosine, 0 to 2.
//!
//! # Direction
//! Low = the layer could be removed, says ShortGPT.
//!
//! # Cost
//! One sweep over two tensors of residual width per layer.
//!
//! # Misleads when
//! One number per layer: all its cells show it. It says what the layer does to the stream as a whole, and nothing of which
//! cell does it; a few massive coordinates of the stream can hide what happens in the others.
//!
//! # Source
//! Block influence of ShortGPT: Men et al. 2024, arXiv 2403.03853.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::writes::NO_RESIDUAL;
use crate::{CellFacts, Formula, Kind, Metric, Reads, Sums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("block-influence"),
        title: Cow::Borrowed("Block influence"),
        summary: Cow::Borrowed("How much the layer turns the residual stream, as 1 - cosine."),
        unit: Cow::Borrowed("1 - cosine"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Layer,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Of the layer, not of its cells."),
    },
    source: include_str!("block_influence.rs"),
    kind: Kind::Activations {
        reads: Reads { blocks: true, ..Reads::NONE },
        applies: |_| Ok(()),
        formula: Formula::Sums(score),
    },
};

fn score(sums: &Sums, _: &CellFacts) -> Result<f64, &'static str> {
    match sums.block_tokens {
        0.0 => Err(NO_RESIDUAL),
        tokens => Ok(1.0 - sums.block_cosine / tokens),
    }
}
