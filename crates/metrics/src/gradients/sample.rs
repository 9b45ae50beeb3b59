//! Some weights of a cell, on which sequences are left out one by one.
//!
//! The norms of a gradient are no function of sums over sequences that could be kept, and the gradients of all sequences are
//! more than memory holds. How much a norm answers to each sequence is therefore computed on a sample.
//!
//! A resampled norm of a noisy mean is larger than the norm of the mean, so a percentile interval can lie above the value
//! whole. Leaving out one sequence at a time (the jackknife) shifts all values alike, which cancels; what it says of the
//! variance is never too small on average (Efron and Stein 1981).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Weights in a sample.
pub(crate) const SAMPLE: usize = 2048;

/// Weights drawn from a cell, and their gradients sequence by sequence.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Sample {
    /// Indices of the weights, ascending; one that was drawn twice is there twice.
    at: Vec<usize>,
    /// |w| of each over the probability that it was drawn with.
    weight: Vec<f64>,
    /// 1 over that probability.
    inverse: Vec<f64>,
    /// Sequence, and its gradients at the sample.
    gradients: Vec<(usize, Vec<f32>)>,
}

/// A norm that is left when a sequence is left out, over the norm of everything.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct LeftOut {
    /// Of `sum |w G|`.
    pub(crate) taylor: f64,
    /// Of `||G||`.
    pub(crate) norm: f64,
}

impl LeftOut {
    /// Where nothing has a gradient, or nothing was left out.
    pub(crate) const ALL: Self = Self { taylor: 1.0, norm: 1.0 };
}

impl Sample {
    /// Draws the sample by what the first sequence shows: a third of it uniformly, a third following `|w G|`, a third
    /// following `G^2`, in one systematic sweep. Estimates from it are unbiased whatever the other sequences do.
    pub(crate) fn new(weights: &[f32], gradient: &[f32], seed: u64) -> Self {
        let count = weights.len();
        let share = |sum: f64| if sum > 0.0 && sum.is_finite() { 1.0 / sum } else { 0.0 };
        let (taylor, square) = super::sweep::taylor_and_square(weights, gradient);
        let (taylor, square) = (share(taylor), share(square));
        let shares = 1.0 + f64::from(u8::from(taylor > 0.0)) + f64::from(u8::from(square > 0.0));
        let chance = |i: usize| {
            let (w, g) = (f64::from(weights[i]), f64::from(gradient[i]));
            (1.0 / count as f64 + (w * g).abs() * taylor + g * g * square) / shares
        };
        let mut sample = Self { at: Vec::new(), weight: Vec::new(), inverse: Vec::new(), gradients: Vec::new() };
        let mut take = |i: usize, inverse: f64| {
            sample.at.push(i);
            sample.weight.push(f64::from(weights[i]).abs() * inverse);
            sample.inverse.push(inverse);
        };
        if count <= SAMPLE {
            (0..count).for_each(|i| take(i, 1.0));
            return sample;
        }
        let step = 1.0 / SAMPLE as f64;
        let mut next = ChaCha8Rng::seed_from_u64(seed).random_range(0.0..step);
        let mut reached = 0.0;
        for i in 0..count {
            let chance = chance(i);
            reached += chance;
            while next < reached {
                take(i, step / chance);
                next += step;
            }
        }
        sample
    }

    /// Takes the gradient of one sequence, `[m, n]`.
    pub(crate) fn see(&mut self, sequence: usize, gradient: &[f32]) {
        self.gradients.push((sequence, self.at.iter().map(|i| gradient[*i]).collect()));
    }

    /// What is left of the norms when each of the `sequences` is left out.
    pub(crate) fn left_out(&self, sequences: usize) -> Vec<LeftOut> {
        let mut total = vec![0.0; self.at.len()];
        for (_, gradient) in &self.gradients {
            total.iter_mut().zip(gradient).for_each(|(total, g)| *total += f64::from(*g));
        }
        let whole = self.norms(&total);
        let mut left = vec![LeftOut::ALL; sequences];
        let each: Vec<(usize, LeftOut)> = self
            .gradients
            .par_iter()
            .map(|(sequence, gradient)| {
                let rest: Vec<f64> = total.iter().zip(gradient).map(|(total, g)| total - f64::from(*g)).collect();
                let norms = self.norms(&rest);
                let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
                let left = LeftOut { taylor: ratio(norms.0, whole.0), norm: ratio(norms.1, whole.1) };
                (*sequence, left)
            })
            .collect();
        for (sequence, one) in each {
            if let Some(place) = left.get_mut(sequence) {
                *place = one;
            }
        }
        left
    }

    /// Estimates of `sum |w G|` and `||G||`.
    fn norms(&self, gradient: &[f64]) -> (f64, f64) {
        let taylor = self.weight.iter().zip(gradient).map(|(w, g)| w * g.abs()).sum();
        let square: f64 = self.inverse.iter().zip(gradient).map(|(inverse, g)| inverse * g * g).sum();
        (taylor, square.sqrt())
    }
}
