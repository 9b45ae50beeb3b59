//! Matrices whose scores are known.

use crate::support::{Weights, assert_close};

/// Random matrices with entries of standard deviation .02, one draw each; numpy's numbers, from `metrics.md` 2.4.
/// Columns: sigma_1, stable rank, effective rank / r, participation ratio / r, Hill, Spectrum.
#[test]
fn random_matrices_score_as_numpy_says() {
    let table = [
        (576, 576, [0.951, 147.0, 0.805, 0.500, 2.12, 0.82]),
        (192, 576, [0.758, 77.0, 0.953, 0.747, 3.11, 24.0]),
        (1536, 576, [1.253, 225.0, 0.947, 0.727, 3.02, 8.7]),
    ];
    for (rows, cols, expected) in table {
        let rank = rows.min(cols) as f64;
        let mut actual = [0.0; 6];
        for seed in 0..3 {
            let weights = Weights::gaussian(rows, cols, 0.02, seed);
            let draw = [
                weights.value("spectral-norm"),
                weights.value("stable-rank"),
                weights.value("effective-rank") / rank,
                weights.value("participation-ratio") / rank,
                weights.value("pl-alpha-hill"),
                weights.value("spectrum-snr"),
            ];
            actual.iter_mut().zip(draw).for_each(|(sum, x)| *sum += x / 3.0);
        }
        // Means of three draws against one draw: Spectrum's ratio moves by a tenth, the others by a few per cent.
        for ((actual, expected), tolerance) in
            actual.into_iter().zip(expected).zip([0.02, 0.04, 0.004, 0.01, 0.02, 0.25])
        {
            assert_close(actual, expected, tolerance);
        }
    }
}

/// `pr / r -> 1 / (1 + beta)` for noise.
#[test]
fn participation_ratio_of_noise_has_its_limit() {
    for (rows, cols) in [(300, 300), (100, 400), (500, 250)] {
        let weights = Weights::gaussian(rows, cols, 1.0, 3);
        let beta = rows.min(cols) as f64 / rows.max(cols) as f64;
        assert_close(weights.value("participation-ratio") / rows.min(cols) as f64, 1.0 / (1.0 + beta), 0.015);
    }
}

/// Rows of `weights` made orthonormal, in f64.
fn orthonormal_rows(weights: &Weights) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> =
        (0..weights.rows).map(|i| (0..weights.cols).map(|j| weights.get(i, j)).collect()).collect();
    for i in 0..rows.len() {
        for _ in 0..2 {
            for k in 0..i {
                let (done, rest) = rows.split_at_mut(i);
                let dot: f64 = done[k].iter().zip(&rest[0]).map(|(a, b)| a * b).sum();
                rest[0].iter_mut().zip(&done[k]).for_each(|(x, d)| *x -= dot * d);
            }
        }
        let norm = rows[i].iter().map(|x| x * x).sum::<f64>().sqrt();
        rows[i].iter_mut().for_each(|x| *x /= norm);
    }
    rows
}

/// `U diag(sigma) V^T`, m x n.
fn with_spectrum(rows: usize, cols: usize, sigma: &[f64]) -> Weights {
    let left = orthonormal_rows(&Weights::gaussian(sigma.len(), rows, 1.0, 11));
    let right = orthonormal_rows(&Weights::gaussian(sigma.len(), cols, 1.0, 12));
    Weights::from_fn(rows, cols, |i, j| sigma.iter().enumerate().map(|(k, s)| left[k][i] * s * right[k][j]).sum())
}

#[test]
fn planted_singular_values_are_found() {
    let sigma: Vec<f64> = (0..40).map(|k| 50.0 * 0.8_f64.powi(k)).collect();
    for (rows, cols) in [(40, 40), (40, 90), (120, 40)] {
        let weights = with_spectrum(rows, cols, &sigma);
        let facts = tomo_metrics::Facts::new(weights.matrix());
        for (actual, expected) in facts.spectrum().iter().zip(&sigma) {
            // f32 entries carry 3e-8 of the norm, whatever the singular value.
            assert!((actual - expected).abs() < 1e-5 * expected + 2e-5, "{actual} {expected}");
        }
        let energy: f64 = sigma.iter().map(|s| s * s).sum();
        let fourth: f64 = sigma.iter().map(|s| s.powi(4)).sum();
        let total: f64 = sigma.iter().sum();
        let entropy: f64 = sigma.iter().map(|s| -(s / total) * (s / total).ln()).sum();
        assert_close(weights.value("spectral-norm"), 50.0, 1e-6);
        assert_close(weights.value("stable-rank"), energy / 2500.0, 1e-6);
        assert_close(weights.value("participation-ratio"), energy * energy / fourth, 1e-6);
        assert_close(weights.value("effective-rank"), entropy.exp(), 1e-5);
    }
}

#[test]
fn a_matrix_of_low_rank_has_no_higher_effective_rank() {
    for rank in [1_usize, 3, 17] {
        let weights = with_spectrum(60, 80, &vec![2.0; rank]);
        for id in ["stable-rank", "effective-rank", "participation-ratio"] {
            let value = weights.value(id);
            assert!(value <= rank as f64 * (1.0 + 1e-5), "{id} of rank {rank}: {value}");
            assert_close(value, rank as f64, 1e-5);
        }
    }
}

#[test]
fn planted_spikes_are_counted_exactly() {
    let (rows, cols, sd) = (240, 320, 0.02);
    let edge = sd * ((rows as f64).sqrt() + (cols as f64).sqrt());
    for spikes in [0_usize, 1, 5, 12] {
        let noise = Weights::gaussian(rows, cols, sd, 5);
        let signal = with_spectrum(rows, cols, &(0..spikes).map(|k| edge * (1.6 + 0.1 * k as f64)).collect::<Vec<_>>());
        let weights =
            Weights::from_fn(rows, cols, |i, j| noise.get(i, j) + if spikes > 0 { signal.get(i, j) } else { 0.0 });
        assert_eq!(weights.value("mp-excess"), spikes as f64);
    }
}

/// `lambda` at the quantiles of a Pareto law.
#[test]
fn a_pareto_spectrum_recovers_its_exponent() {
    for alpha in [2.0, 3.0, 4.5] {
        let count = 200;
        let sigma: Vec<f64> =
            (0..count).map(|i| ((i as f64 + 0.5) / count as f64).powf(-1.0 / (alpha - 1.0)).sqrt()).collect();
        let weights = with_spectrum(count, count + 20, &sigma);
        // The estimate of an exact Pareto sample of n has a relative error of about 1 / sqrt(n) in alpha - 1.
        assert_close(weights.value("pl-alpha") - 1.0, alpha - 1.0, 0.05);
        assert_close(weights.value("pl-alpha-hill") - 1.0, alpha - 1.0, 0.05);
    }
}

/// By hand: quartiles 4 and 2.1, beta 1/4, threshold 1.9 / 1.349 * 1.5 = 2.1127: 10 + 4 + 3 against 2.1 + 1.
#[test]
fn spectrum_snr_by_hand() {
    let score = |sigma: [f64; 5]| {
        let facts = tomo_metrics::Facts::from_spectrum(5, 20, sigma.to_vec());
        crate::support::score_of(crate::support::metric("spectrum-snr"), &facts)
    };
    assert_close(score([10.0, 4.0, 3.0, 2.1, 1.0]).value().unwrap(), 17.0 / 3.1 / 10.0, 1e-14);
    // All equal: the threshold is 0, nothing is at or below it, and the lower sum counts as 1.
    assert_close(score([2.0; 5]).value().unwrap(), 5.0, 1e-14);
    // Three zeros: quartiles 1 and 0, threshold 1.11: 10 against 1.
    assert_close(score([10.0, 1.0, 0.0, 0.0, 0.0]).value().unwrap(), 1.0, 1e-14);
    // Only zeros below: infinite.
    let infinite = score([10.0, 0.0, 0.0, 0.0, 0.0]);
    assert!(infinite.reason().unwrap().contains("infinite"), "{infinite:?}");
}
