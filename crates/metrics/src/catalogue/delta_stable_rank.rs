//! # Measures
//! How many directions as strong as the strongest one the change amounts to.
//!
//! # Formula
//! `||dW||_F^2 / sigma_1(dW)^2`; between 1 and r = min(m, n).
//!
//! # Unit
//! Directions.
//!
//! # Direction
//! Low = concentrated, as the change of a LoRA run is.
//!
//! # Cost
//! Singular values of dW, shared by the metrics of its rank; one decomposition a cell.
//!
//! # Misleads when
//! Columns of different shape are compared: noise of 576 x 576 has 147, of 192 x 576 it has 77. A change that is mostly
//! rescaling has the stable rank of W0.
//!
//! # Source
//! Rudelson and Vershynin 2007, Sampling from large matrices.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{UNCHANGED, undefined};
use crate::{DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-stable-rank"),
        title: Cow::Borrowed("Stable rank of the change"),
        summary: Cow::Borrowed("Energy of the change in units of its strongest direction."),
        unit: Cow::Borrowed("directions"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::Low,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("One strong direction collapses it; depends on the shape."),
    },
    source: include_str!("delta_stable_rank.rs"),
    kind: Kind::Delta {
        needs: DeltaNeeds { delta_spectrum: true, ..DeltaNeeds::NONE },
        score: |facts, _| facts.of_delta_spectrum(score),
    },
};

fn score(sigma: &[f64]) -> Score {
    match sigma {
        [top, ..] if *top > 0.0 => Score::from_value(sigma.iter().map(|s| (s / top) * (s / top)).sum()),
        _ => undefined(UNCHANGED),
    }
}
