//! # Measures
//! The typical size of a weight.
//!
//! # Formula
//! `sqrt(sum w^2 / (m n))` = `||W||_F / sqrt(m n)`, summed in f64.
//!
//! # Unit
//! Weight units (those of the checkpoint).
//!
//! # Direction
//! High = keep, says magnitude pruning; weak evidence.
//!
//! # Cost
//! Part of one sweep that `mean-abs` and `kurtosis` share.
//!
//! # Misleads when
//! A factor can move from one matrix to the next without changing the model: norm gains folded into q, k, v, up and
//! gate, scales between v and o or up and down. A column may be large for such a reason alone.
//!
//! # Source
//! Magnitude as importance: Han et al. 2015, arXiv 1506.02626.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use crate::{Kind, Metric, Needs};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("rms"),
        title: Cow::Borrowed("RMS weight"),
        summary: Cow::Borrowed("Root mean square of the weights."),
        unit: Cow::Borrowed("weight units"),
        family: Cow::Borrowed("weights"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Scale can move between matrices without changing the model."),
    },
    source: include_str!("rms.rs"),
    kind: Kind::Weights {
        needs: Needs { moments: true, ..Needs::NONE },
        score: |facts, _| Score::from_value(facts.moments().rms()),
        null: None,
    },
};
