//! # Measures
//! How far the largest input column stands out.
//!
//! # Formula
//! `max_j A_j / median_j A_j`, A_j the mean square of input column j over tokens.
//!
//! # Unit
//! Ratio; 1 = all columns alike.
//!
//! # Direction
//! High = a few columns carry the input: hard to quantise activations, and their weights must be exact.
//!
//! # Cost
//! Sums by column in the sweep over the inputs; the interval takes the columns' energies of every resample and the
//! median of each, found by counting.
//!
//! # Misleads when
//! One column decides it, and the more columns there are the larger is the largest. Sees the input only: four distinct
//! columns out of seven.
//!
//! # Source
//! Outlier columns as in SmoothQuant, arXiv 2211.10438, and OWL, arXiv 2310.05175.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::activations::{max_over_median, max_over_median_resampled};
use crate::{Formula, Kind, Metric, Reads};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("input-outliers"),
        title: Cow::Borrowed("Input outliers"),
        summary: Cow::Borrowed("Energy of the largest input column relative to the median column."),
        unit: Cow::Borrowed("ratio to the median column"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Input,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("One column decides it."),
    },
    source: include_str!("input_outliers.rs"),
    kind: Kind::Activations {
        reads: Reads::INPUTS,
        applies: |_| Ok(()),
        formula: Formula::Energies { score: max_over_median, resampled: max_over_median_resampled },
    },
};
