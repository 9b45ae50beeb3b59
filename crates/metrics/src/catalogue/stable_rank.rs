//! # Measures
//! How many directions as strong as the strongest one W's energy amounts to.
//!
//! # Formula
//! `sum_i lambda_i / lambda_1` with `lambda_i = sigma_i^2`, that is `||W||_F^2 / sigma_1^2`; between 1 and r = min(m, n).
//!
//! # Unit
//! Directions.
//!
//! # Direction
//! Neither. Low is concentrated, hence easier to compress; it is not less important.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric.
//!
//! # Misleads when
//! One outlier direction collapses it whatever the rest does. It depends on the shape (random 576 x 576: 147, 192 x 576: 77),
//! so compare inside a column, or read `stable-rank@null`.
//!
//! # Source
//! Rudelson and Vershynin 2007, Sampling from large matrices; WeightWatcher's `stable_rank`.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::spectral::{no_spectrum, zero_matrix};
use crate::{Facts, Kind, Metric, Needs, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("stable-rank"),
        title: Cow::Borrowed("Stable rank"),
        summary: Cow::Borrowed("Energy of W in units of its strongest direction"),
        unit: Cow::Borrowed("directions"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::Neutral,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("One outlier direction collapses it; depends on the shape."),
    },
    source: include_str!("stable_rank.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, ..Needs::NONE }, score, null: Some(0) },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    match facts.spectrum() {
        [] => no_spectrum(),
        [top, ..] if *top == 0.0 => zero_matrix(),
        sigma @ [top, ..] => Score::from_value(sigma.iter().map(|s| (s / top) * (s / top)).sum()),
    }
}
