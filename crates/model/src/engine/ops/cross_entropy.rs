//! The loss of tokens whose logits come tile by tile of the vocabulary.

use multiversion::multiversion;

use super::head::{HeadRows, for_logits};
use super::math::{LANES, exp, largest};
use crate::engine::Rows;

/// Logits between two looks at the running maximum, and between two additions in f64: few enough for sums in f32 lanes,
/// and for the nearest cache.
const STEP: usize = 1024;

/// Running log-sum-exp of each token's logits, and the logit of its target.
pub(crate) struct CrossEntropy {
    tokens: Vec<Running>,
}

#[derive(Clone, Copy)]
struct Running {
    target: u32,
    target_logit: f32,
    max: f32,
    /// Sum of `exp(logit - max)`.
    sum: f64,
}

impl CrossEntropy {
    /// For tokens that are to predict `targets`.
    pub(crate) fn new(targets: impl Iterator<Item = u32>) -> Self {
        let fresh = |target| Running { target, target_logit: f32::NAN, max: f32::NEG_INFINITY, sum: 0.0 };
        Self { tokens: targets.map(fresh).collect() }
    }

    /// The next tile: logits `[tokens, width]` of vocabulary entries `first..first + width`, for tokens
    /// `from..from + tokens`. Logits are final: scaled and capped.
    #[cfg(test)]
    pub(crate) fn tile(&mut self, from: usize, first: usize, width: usize, logits: &[f32]) {
        for (row, token) in logits.chunks(width).zip(&mut self.tokens[from..]) {
            token.see(row, first);
        }
    }

    /// The next rows of the head: logits of vocabulary entries from `first` on, for tokens `from..from + T` whose final
    /// hidden states are `x`, `[T, D]`. The logits are never written out.
    pub(crate) fn head(&mut self, from: usize, first: usize, x: Rows<'_>, head: HeadRows<'_>) {
        for_logits(x, head, &mut self.tokens[from..], |token, run, logits| token.see(logits, first + run));
    }

    /// Log-sum-exp of each token's logits.
    pub(crate) fn log_sums(self) -> Vec<f64> {
        self.sums_and_losses().into_iter().map(|(log_sum, _)| log_sum).collect()
    }

    /// Log-sum-exp of each token's logits, and its negative log likelihood in nats.
    pub(crate) fn sums_and_losses(self) -> Vec<(f64, f64)> {
        let both = |t: Running| {
            let log_sum = f64::from(t.max) + t.sum.ln();
            (log_sum, log_sum - f64::from(t.target_logit))
        };
        self.tokens.into_iter().map(both).collect()
    }

    /// Negative log likelihood of each token, in nats. NaN where a logit was, or where no tile held the target.
    pub(crate) fn finish(self) -> Vec<f64> {
        self.sums_and_losses().into_iter().map(|(_, nll)| nll).collect()
    }
}

impl Running {
    fn see(&mut self, row: &[f32], first: usize) {
        if let Some(logit) = (self.target as usize).checked_sub(first).and_then(|at| row.get(at)) {
            self.target_logit = *logit;
        }
        (self.max, self.sum) = log_sum_exp(row, self.max, self.sum);
    }
}

/// Goes on with a maximum and the sum of `exp(logit - maximum)`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn log_sum_exp(row: &[f32], mut max: f32, mut sum: f64) -> (f32, f64) {
    for step in row.chunks(STEP) {
        let top = largest(step);
        if top > max {
            sum *= f64::from(exp(max - top));
            max = top;
        }
        // Before there is any finite logit the sum is 0 unless there is a NaN.
        let base = if max == f32::NEG_INFINITY { 0.0 } else { max };
        sum += sum_of_exp(step, base);
    }
    (max, sum)
}

#[inline(always)]
fn sum_of_exp(values: &[f32], base: f32) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += exp(chunk[i] - base);
        }
    }
    let rest: f64 = rest.iter().map(|x| f64::from(exp(x - base))).sum();
    lanes.iter().map(|x| f64::from(*x)).sum::<f64>() + rest
}
