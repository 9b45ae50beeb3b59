//! # Measures
//! How many directions of W stick out of what independent noise of the same size would produce.
//!
//! # Formula
//! The number of `lambda_i = sigma_i^2` above the Marchenko-Pastur edge `s^2 (sqrt m + sqrt n)^2`. The noise level s is a
//! robust standard deviation of the entries, median(|w - median(w)|) / 0.6745, so that the signal does not raise its own bar.
//! This is the count, not the share of energy above the edge.
//!
//! # Unit
//! Directions.
//!
//! # Direction
//! High: more learned structure stands clear of noise.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric, and two passes over the entries for the median.
//!
//! # Misleads when
//! Entries are not Gaussian in the middle: heavy tails make s small and the count large without any structure between
//! entries, and a coarse format (few levels) makes s jump. A signal spread evenly over all entries raises s itself, so that
//! many strong directions hide the weakest of them. On pure noise the count is 0 or, in about one matrix out of six,
//! 1: the largest eigenvalue fluctuates about the edge (Tracy-Widom). It has no `@null` form, being its own test.
//!
//! # Source
//! Marchenko and Pastur 1967; the edge as a detector of learned directions: Martin and Mahoney 2021 (1810.01075).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::spectral::{no_spectrum, zero_matrix};
use crate::{Facts, Kind, Metric, Needs, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("mp-excess"),
        title: Cow::Borrowed("Directions above noise"),
        summary: Cow::Borrowed("Number of eigenvalues above the Marchenko-Pastur edge of the entries' noise level"),
        unit: Cow::Borrowed("directions"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Additive,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("About 0 on noise; heavy-tailed entries raise it without structure."),
    },
    source: include_str!("mp_excess.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, robust_sd: true, ..Needs::NONE }, score, null: None },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    match facts.spectrum() {
        [] => no_spectrum(),
        [top, ..] if *top == 0.0 => zero_matrix(),
        sigma => {
            let root = (facts.matrix.rows as f64).sqrt() + (facts.matrix.cols as f64).sqrt();
            let edge = facts.robust_sd() * root;
            Score::from_value(sigma.iter().filter(|s| **s > edge).count() as f64)
        }
    }
}
