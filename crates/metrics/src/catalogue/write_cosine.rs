//! # Measures
//! Whether a sublayer adds along the stream or across it.
//!
//! # Formula
//! `mean_t cos(a_t, h_t)`, a and h as in `write-ratio`; tokens where either is zero are left out.
//!
//! # Unit
//! Cosine, -1 to 1.
//!
//! # Direction
//! Neither: 0 = new directions, above 0 = strengthens what is there, below 0 = takes away.
//!
//! # Cost
//! With `write-ratio`, one sweep.
//!
//! # Misleads when
//! A few massive coordinates of the stream decide the cosine. Of the sublayer, not of one matrix; all experts of a mixture
//! show the same.
//!
//! # Source
//! As in Csordas et al. 2025, arXiv 2505.13898.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::writes::{NO_RESIDUAL, ends_a_sublayer};
use crate::{CellFacts, Formula, Kind, Metric, Reads, Sums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("write-cosine"),
        title: Cow::Borrowed("Write cosine"),
        summary: Cow::Borrowed("Cosine between what the sublayer adds and the residual stream it is added to."),
        unit: Cow::Borrowed("cosine"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::Neutral,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: Some(0.0),
        proxy: false,
        caveat: Cow::Borrowed(
            "A few massive coordinates of the stream decide it; of the whole sublayer, shown at attn.o and mlp.down.",
        ),
    },
    source: include_str!("write_cosine.rs"),
    kind: Kind::Activations {
        reads: Reads { writes: true, ..Reads::NONE },
        applies: ends_a_sublayer,
        formula: Formula::Sums(score),
    },
};

fn score(sums: &Sums, _: &CellFacts) -> Result<f64, &'static str> {
    match sums.write_cosine_tokens {
        0.0 => Err(NO_RESIDUAL),
        tokens => Ok(sums.write_cosine / tokens),
    }
}
