//! # Measures
//! The largest factor by which W can stretch an input: its operator norm.
//!
//! # Formula
//! `sigma_1`, the largest singular value of W.
//!
//! # Unit
//! Weight units: output per unit of input.
//!
//! # Direction
//! High: such a cell can amplify. It says nothing of whether the data ever points that way.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric: `m n r + 4/3 r^3` flops, r = min(m, n).
//!
//! # Misleads when
//! One or two outlier directions decide it. It grows with the shape: a random matrix has about
//! `rms (sqrt m + sqrt n)`, so compare inside a column, or read `spectral-norm@null`. A norm gain folded into W changes it
//! and changes nothing in the model.
//!
//! # Source
//! Linear algebra. WeightWatcher's column `spectral_norm` is its square.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::spectral::no_spectrum;
use crate::{Facts, Kind, Metric, Needs, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("spectral-norm"),
        title: Cow::Borrowed("Spectral norm"),
        summary: Cow::Borrowed("Largest singular value: how far W can stretch an input"),
        unit: Cow::Borrowed("weight units"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Grows with the shape; one outlier direction decides it."),
    },
    source: include_str!("spectral_norm.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, ..Needs::NONE }, score, null: Some(1) },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    facts.spectrum().first().map_or_else(no_spectrum, |top| Score::from_value(*top))
}
