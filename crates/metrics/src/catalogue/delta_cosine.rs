//! # Measures
//! Whether a cell still points where it pointed, whatever its length.
//!
//! # Formula
//! `<W0, W1> / (||W0||_F ||W1||_F)`, all entries as one vector.
//!
//! # Unit
//! Ratio between -1 and 1; 1 = equal up to a positive factor.
//!
//! # Direction
//! Low = turned.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! Changes are small: a `delta-direction` of .01 leaves a cosine of .99995. Read that instead.
//!
//! # Source
//! Standard.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{ZERO_BASE, ZERO_TUNED, undefined};
use crate::{DeltaNeeds, Kind, Metric, PairSums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-cosine"),
        title: Cow::Borrowed("Cosine before and after"),
        summary: Cow::Borrowed("Cosine of the angle between the weights before and after."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::Low,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("It differs from 1 by half the square of delta-direction: small turns do not show."),
    },
    source: include_str!("delta_cosine.rs"),
    kind: Kind::Delta { needs: DeltaNeeds::SUMS, score: |facts, _| facts.of_pair(score) },
};

fn score(sums: &PairSums) -> Score {
    if sums.base2 == 0.0 {
        return undefined(ZERO_BASE);
    }
    if sums.tuned2 == 0.0 {
        return undefined(ZERO_TUNED);
    }
    if sums.changed == 0 {
        return Score::from_value(1.0);
    }
    Score::from_value((sums.base2 + sums.dot) / (sums.base2.sqrt() * sums.tuned2.sqrt()))
}
