//! Equations that every entry of the registry keeps.

use tomo_map::{Scope, Status};
use tomo_metrics::{Facts, Kind, METRICS, Metric, select};

use crate::support::{Weights, assert_close, metric, score_of};

fn spectral() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().copied().filter(|m| m.info.family == "spectrum")
}

fn value(metric: &Metric, weights: &Weights) -> f64 {
    let score = score_of(metric, &Facts::new(weights.matrix()));
    score.value().unwrap_or_else(|| panic!("{}: {:?}", metric.info.id, score.reason()))
}

/// Noise with three strong directions, so that no metric sits at a trivial value.
fn example(rows: usize, cols: usize) -> Weights {
    let noise = Weights::gaussian(rows, cols, 0.25, 21);
    Weights::from_fn(rows, cols, |i, j| {
        let wave = |k: usize| ((i * k + 1) as f64 * 0.7).sin() * ((j * k + 2) as f64 * 0.3).cos();
        noise.get(i, j) + 2.0 * wave(1) + wave(2) + 0.5 * wave(5)
    })
}

/// `score(c W) = c^p score(W)`.
#[test]
fn null_metrics_scale_with_their_power() {
    let weights = example(70, 110);
    for metric in METRICS {
        let Kind::Weights { null: Some(power), .. } = metric.kind else { continue };
        for factor in [0.5_f64, 4.0] {
            let scaled = value(metric, &weights.scaled(factor));
            assert_close(scaled, factor.powi(power) * value(metric, &weights), 1e-9);
        }
    }
}

/// `score(P W Q) = score(W)` for permutations, and `score(W^T) = score(W)`.
#[test]
fn spectral_metrics_see_neither_order_nor_transposition() {
    for (rows, cols) in [(90, 90), (64, 130), (131, 50)] {
        let weights = example(rows, cols);
        let permuted = Weights::from_fn(rows, cols, |i, j| weights.get((i * 37 + 5) % rows, (j * 17 + 3) % cols));
        for metric in spectral() {
            let expected = value(metric, &weights);
            assert_close(value(metric, &permuted), expected, 1e-9);
            assert_close(value(metric, &weights.transposed()), expected, 1e-9);
        }
    }
}

#[test]
fn every_score_is_finite_or_has_a_reason() {
    let shapes = [(1, 1), (1, 7), (9, 1), (2, 2), (30, 12), (12, 300)];
    for (rows, cols) in shapes {
        let rank_one = |i: usize, j: usize| (i as f64 + 1.0) * (j as f64 - 2.5);
        let cases = [
            ("zero", Weights::from_fn(rows, cols, |_, _| 0.0)),
            ("constant", Weights::from_fn(rows, cols, |_, _| -3.0)),
            ("rank one", Weights::from_fn(rows, cols, rank_one)),
            ("identity", Weights::from_fn(rows, cols, |i, j| f64::from(u8::from(i == j)))),
            ("one entry", Weights::from_fn(rows, cols, |i, j| f64::from(u8::from(i + j == 0)))),
            ("huge", Weights::gaussian(rows, cols, 1e30, 1)),
            ("tiny", Weights::gaussian(rows, cols, 1e-30, 1)),
            ("subnormal", Weights::from_fn(rows, cols, |i, j| 1e-44 * (1 + i + j) as f64)),
            ("noise", Weights::gaussian(rows, cols, 1.0, 2)),
        ];
        for (name, weights) in cases {
            for metric in METRICS.iter().filter(|m| ["weights", "spectrum", "error"].contains(&m.info.family.as_ref()))
            {
                let score = score_of(metric, &Facts::new(weights.matrix()));
                let sound = match score.status() {
                    Status::Ok => score.value().is_some_and(f64::is_finite),
                    _ => score.reason().is_some_and(|r| r.len() > 5),
                };
                assert!(sound, "{} of {name} {rows}x{cols}: {score:?}", metric.info.id);
            }
        }
    }
}

#[test]
fn spectra_have_every_singular_value_in_order() {
    for (rows, cols) in [(1, 1), (1, 5), (6, 1), (40, 30), (30, 40)] {
        let weights = Weights::gaussian(rows, cols, 1.0, 4);
        let facts = Facts::new(weights.matrix());
        assert_eq!(facts.spectrum().len(), rows.min(cols));
        assert!(facts.spectrum().is_sorted_by(|a, b| a >= b));
        let energy: f64 = weights.values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        assert_close(facts.spectrum().iter().map(|s| s * s).sum(), energy, 1e-12);
    }
}

#[test]
fn a_matrix_with_nan_has_no_spectrum_and_ends() {
    let mut weights = Weights::gaussian(40, 40, 1.0, 4);
    weights.values[77] = f32::NAN;
    for metric in spectral() {
        let score = score_of(metric, &Facts::new(weights.matrix()));
        assert_eq!(score.status(), Status::Undefined, "{}: {score:?}", metric.info.id);
    }
}

/// `@null` forms are scored on spectra alone.
#[test]
fn null_metrics_need_nothing_but_the_spectrum() {
    for metric in METRICS {
        let Kind::Weights { needs, null: Some(_), .. } = metric.kind else { continue };
        assert!(needs.spectrum && !needs.moments && !needs.robust_sd && !needs.entries, "{}", metric.info.id);
    }
}

#[test]
fn null_forms_describe_themselves() {
    let form = select("stable-rank@null").unwrap()[0];
    let info = form.info();
    assert_eq!(info.id, "stable-rank@null");
    assert_eq!(info.title, "Stable rank relative to random");
    assert_eq!((info.unit.as_ref(), info.middle, info.scope), ("relative difference", Some(0.0), Scope::Map));
    assert_eq!(info.family, metric("stable-rank").info.family);
}

#[test]
fn every_manual_has_every_heading_once() {
    let headings = ["# Measures", "# Formula", "# Unit", "# Direction", "# Cost", "# Misleads when", "# Source"];
    for metric in METRICS {
        let lines = metric.source.lines().map_while(|l| l.strip_prefix("//!")).map(str::trim);
        let found: Vec<&str> = lines.filter(|l| l.starts_with("# ")).collect();
        assert_eq!(found, headings, "{}", metric.info.id);
    }
}
