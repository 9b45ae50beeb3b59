//! # Measures
//! How many directions carry W's energy.
//!
//! # Formula
//! `(sum_i lambda_i)^2 / sum_i lambda_i^2` with `lambda_i = sigma_i^2`; between 1 and r = min(m, n).
//!
//! # Unit
//! Directions.
//!
//! # Direction
//! High: energy is spread over many directions. Stronger directions weigh more than in the effective rank.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric.
//!
//! # Misleads when
//! Columns of different shape are compared: a random matrix has `r / (1 + min(m, n) / max(m, n))`, half of r when square and
//! .75 r at 192 x 576. Read `participation-ratio@null` across columns. WeightWatcher's `participation_ratio` is of an
//! eigenvector, another thing.
//!
//! # Source
//! The inverse participation ratio of physics (Bell and Dean 1970), applied to eigenvalues.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::spectral::{no_spectrum, zero_matrix};
use crate::{Facts, Kind, Metric, Needs, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("participation-ratio"),
        title: Cow::Borrowed("Participation ratio"),
        summary: Cow::Borrowed("Number of directions that carry the energy of W"),
        unit: Cow::Borrowed("directions"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Depends on the shape: compare inside a column, or relative to random."),
    },
    source: include_str!("participation_ratio.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, ..Needs::NONE }, score, null: Some(0) },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    match facts.spectrum() {
        [] => no_spectrum(),
        [top, ..] if *top == 0.0 => zero_matrix(),
        sigma @ [top, ..] => {
            // Relative to the largest, so that no fourth power overflows or vanishes.
            let (sum, squares) =
                sigma.iter().map(|s| (s / top) * (s / top)).fold((0.0, 0.0), |(a, b), l| (a + l, b + l * l));
            Score::from_value(sum * sum / squares)
        }
    }
}
