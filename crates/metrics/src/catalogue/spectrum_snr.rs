//! # Measures
//! The score by which the Spectrum method picks layers to train: large singular values against the rest.
//!
//! # Formula
//! `noise = (q75 - q25) / 1.349` of the singular values (quantiles by linear interpolation), `threshold = noise (1 + sqrt beta)`
//! with `beta = min(m, n) / max(m, n)`; then `sum(sigma > threshold) / sum(sigma <= threshold) / sigma_1`. When no singular value
//! is at or below the threshold the lower sum is 1, as in that program. When it is 0 the score is infinite there and
//! undefined here.
//!
//! # Unit
//! One over weight units: W doubled halves it.
//!
//! # Direction
//! High: "informative, train it", as the method reads it.
//!
//! # Cost
//! The cell's decomposition, shared with every spectral metric.
//!
//! # Misleads when
//! It is taken for a signal-to-noise ratio. It is no Marchenko-Pastur test: the noise comes from the singular values
//! themselves and the edge lacks a factor sqrt(max(m, n)), so pure noise scores .8 at 576 x 576, 8 at 1536 x 576 and 26 at
//! 192 x 576. One singular value crossing the threshold makes it jump. Compare only inside a column, best by rank.
//!
//! # Source
//! Hartford et al. 2024 (2406.06623); followed: `spectrum.py` of QuixiAI/spectrum at 13dcd40.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score, Status};

use super::spectral::{no_spectrum, zero_matrix};
use crate::{Facts, Kind, Metric, Needs, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("spectrum-snr"),
        title: Cow::Borrowed("Spectrum SNR"),
        summary: Cow::Borrowed("Large singular values against the rest, as the Spectrum method scores layers"),
        unit: Cow::Borrowed("1 / weight units"),
        family: Cow::Borrowed("spectrum"),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Not a test against noise, jumps at its threshold; read ranks inside one column."),
    },
    source: include_str!("spectrum_snr.rs"),
    kind: Kind::Weights { needs: Needs { spectrum: true, ..Needs::NONE }, score, null: Some(-1) },
};

fn score(facts: &Facts<'_>, _: &Options) -> Score {
    let sigma = facts.spectrum();
    let Some(&top) = sigma.first() else { return no_spectrum() };
    if top == 0.0 {
        return zero_matrix();
    }
    let (rows, cols) = (facts.matrix.rows as f64, facts.matrix.cols as f64);
    let beta = rows.min(cols) / rows.max(cols);
    let noise_level = (quantile(sigma, 0.75) - quantile(sigma, 0.25)) / 1.349;
    let threshold = noise_level * (1.0 + beta.sqrt());
    let split = sigma.partition_point(|s| *s > threshold);
    let signal: f64 = sigma[..split].iter().sum();
    let noise = if split == sigma.len() { 1.0 } else { sigma[split..].iter().sum() };
    if noise == 0.0 {
        return Score::missing(Status::Undefined, "infinite: the singular values below the threshold are all 0");
    }
    Score::from_value(signal / noise / top)
}

/// Quantile `share` of `descending` values, linear between neighbours.
fn quantile(descending: &[f64], share: f64) -> f64 {
    let last = descending.len() - 1;
    let place = share * last as f64;
    let low = place.floor() as usize;
    let ascending = |i: usize| descending[last - i.min(last)];
    ascending(low) + (place - low as f64) * (ascending(low + 1) - ascending(low))
}
