//! # Measures
//! What the model loses when the cell puts out nothing.
//!
//! # Formula
//! `mean over predicted tokens of KL(p || p')`, p the model's distribution of the next token, p' that of the changed
//! model whose cell puts out 0 on every token (bias included).
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = the model depends on it.
//!
//! # Cost
//! The model from this cell's layer on, for every cell. Racing (on unless `--exact`) stops measuring a cell when it is
//! settled whether it belongs to the highest tenth. Cells that make the same function are run once: where there are no
//! biases behind, q and k, v and o, and up, gate and down.
//!
//! # Misleads when
//! It is read as seven columns: there are three. Other layers make up for the loss, or are broken by it. Zero is far
//! from what the cell usually puts out.
//!
//! # Source
//! Ablation; Michel et al. 2019, arXiv 1905.10650; on methods, Zhang and Nanda 2023, arXiv 2309.16042.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CausalEdit, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("ablate-zero"),
        title: Cow::Borrowed("Ablation to zero"),
        summary: Cow::Borrowed("Divergence when the cell puts out zero."),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("causal"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Silence,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed(
            "Zero is no usual output; without queries or keys attention is uniform, which is another question.",
        ),
    },
    source: include_str!("ablate_zero.rs"),
    kind: Kind::Causal { edit: CausalEdit::Zero },
};
