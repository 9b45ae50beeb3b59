//! # Measures
//! As `attribution-resample`, with the gradient averaged along a straight way of the *input embeddings* from the other
//! sequence to this one: less misled where the loss is curved.
//!
//! # Formula
//! `sum_t (y'_t - y_t) . mean_k g_t(k)`, k = 1..K: `g_t(k)` = dL/dy_t when the embeddings are k/K of the way from those
//! of the next sequence to those of this one; y and y' the outputs at the two ends; L is the mean loss of the text's
//! scored tokens. K is an option (5). Positions that the next sequence does not have are left as they are. With K = 1
//! it is `attribution-resample`.
//!
//! # Unit
//! Nats per token; signed.
//!
//! # Direction
//! High = the loss rises. Negative: it falls.
//!
//! # Cost
//! A reverse pass of its own over K times the tokens; no weight gradients.
//!
//! # Misleads when
//! Mixed embeddings are far from all text: the gradient there may mean nothing. Outputs change on one way, the inputs
//! on another, so the sum of scores is not the change of the loss. Not for experts, whose tokens change along the way;
//! not for one sequence.
//!
//! # Source
//! Sundararajan et al. 2017, arXiv 1703.01365; on inputs and by component as EAP-IG, Hanna et al. 2024, arXiv
//! 2403.17806, whose sign (other minus own) is kept.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("ig"),
        title: Cow::Borrowed("Integrated gradients"),
        summary: Cow::Borrowed(
            "Change of the loss when the cell's output becomes that of another sequence, with gradients averaged on the way of the inputs.",
        ),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: Some(0.0),
        proxy: true,
        caveat: Cow::Borrowed("The path runs through mixed embeddings, which no text gives."),
    },
    source: include_str!("ig.rs"),
    kind: Kind::Gradients { formula: GradientFormula::Path },
};
