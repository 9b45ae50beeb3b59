//! # Measures
//! How many tokens a mixture sends to the expert.
//!
//! # Formula
//! `E * n_e / sum_e n_e`: n_e are the tokens sent to expert e, all tokens together, and each token counts for every expert
//! it is sent to.
//!
//! # Unit
//! Load relative to an even share; 1 = even, E = everything.
//!
//! # Direction
//! High = used by the text.
//!
//! # Cost
//! None: rows are counted.
//!
//! # Misleads when
//! It is about this text: an expert that idles here may be the one for another language. The three matrices of an expert
//! share it. How much weight the router gave is not in it.
//!
//! # Source
//! Load as in the balancing losses of Switch Transformers, arXiv 2101.03961.

use std::borrow::Cow;

use tomo_map::{Additivity, CellId, Direction, Meaning, MetricInfo, Scope};

use crate::{Formula, Kind, Metric, Reads};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("experts-load"),
        title: Cow::Borrowed("Expert load"),
        summary: Cow::Borrowed("Tokens sent to the expert, relative to an even share."),
        unit: Cow::Borrowed("load (even = 1)"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: Some(1.0),
        proxy: false,
        caveat: Cow::Borrowed("About this text: an expert that idles here may serve another."),
    },
    source: include_str!("experts_load.rs"),
    kind: Kind::Activations {
        reads: Reads { routing: true, ..Reads::NONE },
        applies: is_of_an_expert,
        formula: Formula::Sums(|sums, cell| Ok(cell.experts * sums.sent / sums.routed)),
    },
};

fn is_of_an_expert(cell: CellId) -> Result<(), &'static str> {
    match cell.expert {
        Some(_) => Ok(()),
        None => Err("the cell belongs to no expert"),
    }
}
