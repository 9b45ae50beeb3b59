#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attention;
mod bench;
mod cross_entropy;
mod damage;
mod differences;
mod gradients;
mod head_gradient;
mod linear;
mod math;
mod plain;
mod reference;
mod rows;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `count` values between `-span` and `span`.
fn noise(seed: u64, count: usize, span: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-span..span)).collect()
}

/// The largest difference against the largest of what is expected; NaN anywhere, or a difference in number, is infinity.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    if found.len() != expected.len() || found.iter().any(|x| x.is_nan()) || expected.iter().any(|x| x.is_nan()) {
        return f64::INFINITY;
    }
    let top = expected.iter().fold(0.0_f64, |top, x| top.max(x.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
    differences.fold(0.0, f64::max) / top
}

/// Runs `work` on so many threads.
fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}
