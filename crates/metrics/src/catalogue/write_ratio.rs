//! # Measures
//! How much a sublayer adds, relative to what is there.
//!
//! # Formula
//! `mean_t ||a_t|| / ||h_t||`: a is what attention (`attn.o`) or the MLP (`mlp.down`) adds to the residual stream, after any norm
//! or multiplier behind the matrix; h is the residual it is added to. Tokens with h = 0 are left out.
//!
//! # Unit
//! Ratio.
//!
//! # Direction
//! High = the sublayer changes the stream a lot.
//!
//! # Cost
//! One sweep over two tensors of residual width per sublayer.
//!
//! # Misleads when
//! It belongs to the sublayer, not to one matrix: it is shown at the matrix that ends it, and all experts of a mixture
//! show the same. The first layers add to a small stream and score high. Writing much is not writing something of use.
//!
//! # Source
//! As in Csordas et al. 2025, arXiv 2505.13898.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::writes::{NO_RESIDUAL, ends_a_sublayer};
use crate::{CellFacts, Formula, Kind, Metric, Reads, Sums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("write-ratio"),
        title: Cow::Borrowed("Write ratio"),
        summary: Cow::Borrowed("Size of what the sublayer adds to the residual stream, relative to the stream."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Of the whole sublayer: shown at attn.o and mlp.down, which end it."),
    },
    source: include_str!("write_ratio.rs"),
    kind: Kind::Activations {
        reads: Reads { writes: true, ..Reads::NONE },
        applies: ends_a_sublayer,
        formula: Formula::Sums(score),
    },
};

fn score(sums: &Sums, _: &CellFacts) -> Result<f64, &'static str> {
    match sums.write_ratio_tokens {
        0.0 => Err(NO_RESIDUAL),
        tokens => Ok(sums.write_ratio / tokens),
    }
}
