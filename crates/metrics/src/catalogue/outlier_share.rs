//! # Measures
//! What share of the weights stands far out.
//!
//! # Formula
//! The share of entries with `|w| > 6 rms`, where rms is over the whole matrix. 6 is far enough that Gaussian weights
//! have none (2e-9 of them); with 3 the share would mostly repeat the body of the distribution (0.0027 for a
//! Gaussian).
//!
//! # Unit
//! Share of weights.
//!
//! # Direction
//! High = hard to quantise evenly.
//!
//! # Cost
//! A second sweep over the entries in memory, after the rms is known; nothing is read from disk again.
//!
//! # Misleads when
//! Small matrices: one weight of a 576x192 matrix is 9e-6. It counts outliers and does not see how far out they are;
//! `kurtosis` does.
//!
//! # Source
//! Count of outliers by a multiple of the rms, as in the outlier literature (LLM.int8, arXiv 2208.07339, uses 6 as an
//! absolute threshold on activations); here relative, on weights.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use crate::{Facts, Kind, Metric, Needs, Options, moments};

/// How many rms away a weight is an outlier.
const FAR: f64 = 6.0;

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("outlier-share"),
        title: Cow::Borrowed("Outlier share"),
        summary: Cow::Borrowed("Share of the weights beyond 6 rms."),
        unit: Cow::Borrowed("share of weights"),
        family: Cow::Borrowed("weights"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Counts outliers without seeing how far out they are."),
    },
    source: include_str!("outlier_share.rs"),
    kind: Kind::Weights { needs: Needs { moments: true, entries: true, ..Needs::NONE }, score, null: None },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    let rms = facts.moments().rms();
    if !rms.is_finite() {
        return Score::from_value(rms);
    }
    let beyond = moments::count_beyond(facts.matrix.values, FAR * rms);
    Score::from_value(beyond as f64 / facts.moments().count)
}
