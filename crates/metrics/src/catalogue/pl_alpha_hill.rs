//! # Measures
//! How heavy the tail of W's spectrum is, by Hill's estimate over the upper half of the eigenvalues: no search for where
//! the tail starts.
//!
//! # Formula
//! Eigenvalues `lambda = sigma^2` ascending, N of them, i = floor(N / 2), n = N - i:
//! `1 + n / (sum_{j>=i} ln lambda_j - n ln lambda_i)`. Zeros are not removed first.
//!
//! # Unit
//! Exponent.
//!
//! # Direction
//! Low: heavy tail, well trained; AlphaPruning prunes cells with a high exponent more.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric.
//!
//! # Misleads when
//! Columns of different shape are compared: random matrices score 2.1 (576 x 576), 3.0 (1536 x 576) and 3.1 (192 x 576).
//! Read `pl-alpha-hill@null` across columns. When more than half of the eigenvalues are 0 it is undefined.
//!
//! # Source
//! Hill 1975; TempBalance (2312.00359) and AlphaPruning (2410.10912); followed: `lib/esd_utils.py` of haiquanlu/AlphaPruning
//! at 5f0e984 with `fix_fingers='xmin_mid'`.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score, Status};

use super::spectral::{ascending_eigenvalues, no_spectrum};
use crate::{Facts, Kind, Metric, Needs, Options, power_law};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("pl-alpha-hill"),
        title: Cow::Borrowed("Power-law exponent (Hill)"),
        summary: Cow::Borrowed("Hill's estimate of the spectrum's exponent over its upper half"),
        unit: Cow::Borrowed("exponent"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::Low,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Depends on the shape: compare inside a column, or relative to random."),
    },
    source: include_str!("pl_alpha_hill.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, ..Needs::NONE }, score, null: Some(0) },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    if facts.spectrum().is_empty() {
        return no_spectrum();
    }
    match power_law::hill(&ascending_eigenvalues(facts)) {
        Some(alpha) => Score::from_value(alpha),
        None => Score::missing(Status::Undefined, "the upper half of the eigenvalues has no spread of positive values"),
    }
}
