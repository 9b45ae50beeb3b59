//! Random matrices of known structure, in f64 and of no particular size: the caller scales them to the planned rms.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::ContinuousCDF;

/// `rows x cols` entries, row-major.
pub(crate) type Entries = Vec<f64>;

/// Independent standard normal entries.
pub(crate) fn gaussian(rng: &mut ChaCha8Rng, rows: usize, cols: usize) -> Entries {
    (0..rows * cols).map(|_| StandardNormal.sample(rng)).collect()
}

/// Normal entries drawn evenly: one from each of `rows * cols` slices of equal probability, shuffled. Shares of them are
/// those of the distribution to within one entry, so that a few thousand say what a million independent ones would.
pub(crate) fn even_gaussian(rng: &mut ChaCha8Rng, rows: usize, cols: usize) -> Entries {
    let count = rows * cols;
    let normal = statrs::distribution::Normal::standard();
    let slice = |at: usize, rng: &mut ChaCha8Rng| (at as f64 + rng.random::<f64>()) / count as f64;
    // An end of the distribution is at infinity; half a slice of the last is far enough.
    let inside = 0.5 / count as f64;
    let mut entries: Entries =
        (0..count).map(|at| normal.inverse_cdf(slice(at, rng).clamp(inside, 1.0 - inside))).collect();
    entries.shuffle(rng);
    entries
}

/// Independent Laplace entries: excess kurtosis 3, and, unlike Student's t, moments that a few thousand entries settle.
pub(crate) fn laplace(rng: &mut ChaCha8Rng, rows: usize, cols: usize) -> Entries {
    let entry = |rng: &mut ChaCha8Rng| {
        let u: f64 = rng.random_range(-0.5..0.5);
        -u.signum() * (1.0 - 2.0 * u.abs()).max(f64::MIN_POSITIVE).ln()
    };
    (0..rows * cols).map(|_| entry(rng)).collect()
}

/// U diag(`sigma`) V^T with random orthonormal U and V: a matrix whose non-zero singular values are `sigma`.
/// There are at most `min(rows, cols)` of them.
pub(crate) fn from_spectrum(rng: &mut ChaCha8Rng, rows: usize, cols: usize, sigma: &[f64]) -> Entries {
    let left = orthonormal(rng, rows, sigma.len());
    let right = orthonormal(rng, cols, sigma.len());
    let mut out = vec![0.0; rows * cols];
    for ((u, v), s) in left.iter().zip(&right).zip(sigma) {
        for (row, u) in out.chunks_exact_mut(cols).zip(u) {
            row.iter_mut().zip(v).for_each(|(entry, v)| *entry += s * u * v);
        }
    }
    out
}

/// `count` orthonormal vectors of length `dim`: Gaussian draws through Gram-Schmidt, twice, since once leaves rounding.
fn orthonormal(rng: &mut ChaCha8Rng, dim: usize, count: usize) -> Vec<Vec<f64>> {
    let mut frame: Vec<Vec<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut vector = gaussian(rng, 1, dim);
        for _ in 0..2 {
            for earlier in &frame {
                let along = dot(&vector, earlier);
                vector.iter_mut().zip(earlier).for_each(|(x, e)| *x -= along * e);
            }
        }
        let norm = dot(&vector, &vector).sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        frame.push(vector);
    }
    frame
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Multiplies all entries so that their root mean square is `rms`.
pub(crate) fn scale_to_rms(entries: &mut [f64], rms: f64) {
    let now = (dot(entries, entries) / entries.len() as f64).sqrt();
    entries.iter_mut().for_each(|x| *x *= rms / now);
}
