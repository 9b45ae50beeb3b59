//! # Measures
//! What taking this one cell from another checkpoint does to the model's predictions.
//!
//! # Formula
//! `mean over predicted tokens of KL(p || p')`, p the model's distribution of the next token, p' that of the changed
//! model whose cell is that of the checkpoint `--against`: the base of a fine-tuned model, say.
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = the two checkpoints differ here in a way that matters.
//!
//! # Cost
//! The model from this cell's layer on, for every cell. Racing (on unless `--exact`) stops measuring a cell when it is
//! settled whether it belongs to the highest tenth. The cell of the other checkpoint is read as well.
//!
//! # Misleads when
//! Changes in several cells belong together: taking one of them back may break what all of them together leave whole.
//! It is no measure of skill: the divergence has no sign.
//!
//! # Source
//! Activation and weight patching; for merging by parts, arXiv 2505.20993.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CausalEdit, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("patch-kl"),
        title: Cow::Borrowed("Patch KL"),
        summary: Cow::Borrowed("Divergence when the cell is replaced by the same cell of the other checkpoint."),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("causal"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("One cell of the other model among cells that never met it."),
    },
    source: include_str!("patch_kl.rs"),
    kind: Kind::Causal { edit: CausalEdit::Patch },
};
