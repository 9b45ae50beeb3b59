//! # Measures
//! What share of the weights stands far out once each is multiplied by the size of its input.
//!
//! # Formula
//! `100 * share of s_ij > M * mean(s)`, `s_ij = |W_ij| sqrt(A_j)` as in `wanda`, M = 5. Intervals are exact: the threshold
//! of every weight is recomputed in every resample, for the few weights where resamples disagree.
//!
//! # Unit
//! Per cent of the weights.
//!
//! # Direction
//! High = outliers carry the cell: prune less.
//!
//! # Cost
//! As `wanda`, and a second sweep over the weights.
//!
//! # Misleads when
//! M is a convention (the paper's code defaults to 3, its recipes use 5 to 7) and the ranking depends on it. The method
//! pools the seven matrices of a layer; by cell is our extension of it.
//!
//! # Source
//! Layerwise outlier distribution of OWL: Yin et al. 2023, arXiv 2310.05175, `check_outlier_mean`.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{Formula, Kind, Metric, Reads};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("owl-outliers"),
        title: Cow::Borrowed("OWL outliers"),
        summary: Cow::Borrowed("Share of the weights whose size times input exceeds five times the cell's mean."),
        unit: Cow::Borrowed("% of weights"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("The multiple of the mean is a convention, and the ranking depends on it."),
    },
    source: include_str!("owl_outliers.rs"),
    kind: Kind::Activations {
        reads: Reads { outliers: true, ..Reads::INPUTS },
        applies: |_| Ok(()),
        formula: Formula::Salience(|salience| 100.0 * salience.outlier_share),
    },
};
