//! # Measures
//! How heavy the tails of the weights are: 0 for a Gaussian, 3 for Laplace, large when a few weights stand out.
//!
//! # Formula
//! Excess kurtosis `m4 / m2^2 - 3` with central moments over all entries (population moments, no bias correction, as
//! `scipy.stats.kurtosis`), summed in f64. Where the mean is more than ten standard deviations away from 0, the
//! moments are taken about the mean in a second sweep, since the sums about 0 would cancel.
//!
//! # Unit
//! Ratio.
//!
//! # Direction
//! High = outliers, hard to quantise evenly.
//!
//! # Cost
//! Part of one sweep that `rms` and `mean-abs` share.
//!
//! # Misleads when
//! Fourth powers: a single weight can decide the number. Groups confine what an outlier spoils, so a high kurtosis
//! matters less for formats with small blocks.
//!
//! # Source
//! KurtBoost, arXiv 2503.06518.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score, Status};

use crate::{Facts, Kind, Metric, Needs, Options, moments};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("kurtosis"),
        title: Cow::Borrowed("Excess kurtosis"),
        summary: Cow::Borrowed("Weight of the tails against a Gaussian's, by fourth powers."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("weights"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: Some(0.0),
        proxy: false,
        caveat: Cow::Borrowed("A single weight can decide the number."),
    },
    source: include_str!("kurtosis.rs"),
    kind: Kind::Weights { needs: Needs { moments: true, entries: true, ..Needs::NONE }, score, null: None },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    let about_zero = facts.moments();
    let mean = about_zero.sum / about_zero.count;
    let (mut m2, mut m4) = about_zero.central();
    if mean * mean > 100.0 * m2 {
        (m2, m4) = moments::sweep_about(facts.matrix.values, mean).central();
    }
    // Entries that differ at all do so by 6e-8 of themselves; less than this is rounding.
    if m2 <= 1e-28 * mean * mean {
        return Score::missing(Status::Undefined, "all weights are equal");
    }
    Score::from_value(m4 / (m2 * m2) - 3.0)
}
