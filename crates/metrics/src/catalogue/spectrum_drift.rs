//! # Measures
//! Whether the strengths of a cell's directions changed, wherever these point.
//!
//! # Formula
//! `||s(W1) - s(W0)||_2 / ||s(W0)||_2`, singular values in descending order. At most `delta-relative` (Mirsky 1960).
//!
//! # Unit
//! Ratio; 0 where no strength changed.
//!
//! # Direction
//! High = the spectrum moved.
//!
//! # Cost
//! Singular values of both matrices: two decompositions a cell.
//!
//! # Misleads when
//! Read as the size of the change: a rotation leaves it at 0. A mere rescaling by c gives |c - 1|.
//!
//! # Source
//! Normalised spectral shift of The Path Not Taken, arXiv 2511.08567.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{ZERO_BASE, undefined};
use crate::{DeltaFacts, DeltaNeeds, Kind, Metric, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("spectrum-drift"),
        title: Cow::Borrowed("Drift of the spectrum"),
        summary: Cow::Borrowed("Distance between the singular values before and after, against their size before."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Rotations of the singular vectors do not show in it."),
    },
    source: include_str!("spectrum_drift.rs"),
    kind: Kind::Delta { needs: DeltaNeeds { spectra: true, ..DeltaNeeds::NONE }, score },
};

fn score(facts: &DeltaFacts, _: &Options) -> Score {
    let (base, tuned) = match (&facts.base_spectrum, &facts.tuned_spectrum) {
        (Ok(base), Ok(tuned)) => (base, tuned),
        (Err(score), _) | (_, Err(score)) => return score.clone(),
    };
    let base2: f64 = base.iter().map(|s| s * s).sum();
    if base2 == 0.0 {
        return undefined(ZERO_BASE);
    }
    let moved2: f64 = base.iter().zip(tuned).map(|(s0, s1)| (s1 - s0) * (s1 - s0)).sum();
    Score::from_value((moved2 / base2).sqrt())
}
