//! # Measures
//! What the model loses when the cell is replaced by its best approximation of lower rank.
//!
//! # Formula
//! `mean over predicted tokens of KL(p || p')`, p the model's distribution of the next token, p' that of the changed
//! model whose cell keeps the largest singular values: the share `--rank` of min(m, n), .5 by default; a whole number
//! is a number of values.
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = the small singular values matter.
//!
//! # Cost
//! The model from this cell's layer on, for every cell. Racing (on unless `--exact`) stops measuring a cell when it is
//! settled whether it belongs to the highest tenth. A singular value decomposition of every cell.
//!
//! # Misleads when
//! Components are compared whose shapes differ: half of 192 singular values is another cut than half of 576. What is
//! small in W may be large in W x.
//!
//! # Source
//! LASER (Sharma et al. 2023, arXiv 2312.13558), with the divergence in place of a task's accuracy.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CausalEdit, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("lowrank-kl"),
        title: Cow::Borrowed("Low-rank KL"),
        summary: Cow::Borrowed("Divergence when the cell keeps a part of its singular values only."),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("causal"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("One rank; where singular values fall fast it removes little."),
    },
    source: include_str!("lowrank_kl.rs"),
    kind: Kind::Causal { edit: CausalEdit::LowRank },
};
