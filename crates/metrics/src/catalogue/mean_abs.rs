//! # Measures
//! The average magnitude of a weight. Beside `rms` it shows tails: their ratio is 0.798 for Gaussian weights and
//! falls as tails grow heavier.
//!
//! # Formula
//! `sum |w| / (m n)`, summed in f64.
//!
//! # Unit
//! Weight units (those of the checkpoint).
//!
//! # Direction
//! High = keep, says magnitude pruning; weak evidence.
//!
//! # Cost
//! Part of one sweep that `rms` and `kurtosis` share.
//!
//! # Misleads when
//! As `rms`: a factor can move from one matrix to the next without changing the model.
//!
//! # Source
//! Magnitude as importance: Han et al. 2015, arXiv 1506.02626.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use crate::{Kind, Metric, Needs};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("mean-abs"),
        title: Cow::Borrowed("Mean magnitude"),
        summary: Cow::Borrowed("Mean absolute value of the weights."),
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
    source: include_str!("mean_abs.rs"),
    kind: Kind::Weights {
        needs: Needs { moments: true, ..Needs::NONE },
        score: |facts, _| Score::from_value(facts.moments().mean_abs()),
        null: None,
    },
};
