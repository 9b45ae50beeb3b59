//! # Measures
//! What the model loses when the cell answers to another text.
//!
//! # Formula
//! `mean over predicted tokens of KL(p || p')`, p the model's distribution of the next token, p' that of the changed
//! model whose cell puts out what it puts out, in the unchanged model, at the same position of the next sequence of
//! the text (of the first after the last). Positions that the next sequence does not have are left as they are.
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = the model depends on it.
//!
//! # Cost
//! The model from this cell's layer on, for every cell. Racing (on unless `--exact`) stops measuring a cell when it is
//! settled whether it belongs to the highest tenth. Outputs of the unchanged model on the partner sequences as well.
//!
//! # Misleads when
//! Sequences are alike: the partner then gives much of the cell's own output. Not for experts, whose tokens have no
//! partner; not for one sequence.
//!
//! # Source
//! Resample ablation, as in causal scrubbing (Chan et al. 2022) and Zhang and Nanda 2023, arXiv 2309.16042.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CausalEdit, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("ablate-resample"),
        title: Cow::Borrowed("Ablation by resampling"),
        summary: Cow::Borrowed("Divergence when the cell puts out what it puts out on another sequence."),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("causal"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("One other sequence stands for all."),
    },
    source: include_str!("ablate_resample.rs"),
    kind: Kind::Causal { edit: CausalEdit::Resample },
};
