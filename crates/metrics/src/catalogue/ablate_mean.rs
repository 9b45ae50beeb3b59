//! # Measures
//! What the model loses when the cell no longer tells tokens apart.
//!
//! # Formula
//! `mean over predicted tokens of KL(p || p')`, p the model's distribution of the next token, p' that of the changed
//! model whose cell puts out, on every token, the mean of its output over all positions of all sequences of the text;
//! of an expert, over the tokens sent to it.
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = the model depends on it.
//!
//! # Cost
//! The model from this cell's layer on, for every cell. Racing (on unless `--exact`) stops measuring a cell when it is
//! settled whether it belongs to the highest tenth. One forward pass before that for the means.
//!
//! # Misleads when
//! One token with a giant output pulls the mean to where no token is. An expert to which no token is sent has no
//! effect and no mean.
//!
//! # Source
//! Mean ablation; Wang et al. 2022, arXiv 2211.00593.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CausalEdit, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("ablate-mean"),
        title: Cow::Borrowed("Ablation to the mean"),
        summary: Cow::Borrowed("Divergence when the cell puts out its mean over the text, on every token."),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("causal"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("What is the same on every token is left to the cell."),
    },
    source: include_str!("ablate_mean.rs"),
    kind: Kind::Causal { edit: CausalEdit::Mean },
};
