//! A softmax over the vocabulary while it goes by, and what it weighs.

use std::borrow::Cow;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use multiversion::multiversion;

use super::super::head::{HeadRows, finish};
use super::super::math::{LANES, exp, largest};

/// A softmax over the vocabulary, as far as it was seen.
pub(super) struct Distribution<'a> {
    pub(super) hidden: Cow<'a, [f32]>,
    pub(super) running: Vec<Running>,
    /// Sum of `exp(logit - max) * slope * W`, `[R, D]`.
    pub(super) sum: Vec<f32>,
}

#[derive(Clone, Copy)]
pub(super) struct Running {
    pub(super) max: f32,
    /// Sum of `exp(logit - max)`.
    pub(super) sum: f64,
}

impl Running {
    pub(super) const NEW: Self = Self { max: f32::NEG_INFINITY, sum: 0.0 };

    pub(super) fn log_sum_exp(self) -> f64 {
        f64::from(self.max) + self.sum.ln()
    }
}

impl<'a> Distribution<'a> {
    pub(super) fn new(hidden: &'a [f32], cols: usize, rows: &Range<usize>) -> Self {
        let own = &hidden[rows.start * cols..rows.end * cols];
        let hidden: Cow<[f32]> = if rows.len() == 1 { [own, own].concat().into() } else { own.into() };
        Self { sum: vec![0.0; hidden.len()], hidden, running: vec![Running::NEW; rows.len()] }
    }

    /// R, at least 2.
    fn rows(&self) -> usize {
        self.running.len().max(2)
    }

    pub(super) fn cols(&self) -> usize {
        self.hidden.len() / self.rows()
    }

    /// Final logits of all rows for `width` entries, `[R, width]`.
    pub(super) fn logits(&self, head: HeadRows<'_>, width: usize, out: &mut Vec<f32>) {
        let (rows, cols) = (self.rows(), self.cols());
        out.resize(rows * width, 0.0);
        let x = MatRef::from_row_major_slice(&self.hidden, rows, cols);
        let w = MatRef::from_row_major_slice(head.weights, width, cols);
        matmul(MatMut::from_row_major_slice_mut(out, rows, width), Accum::Replace, x, w.transpose(), 1.0_f32, Par::Seq);
        out.chunks_exact_mut(width).for_each(|row| finish(row, head.bias, head.scale, head.softcap));
    }

    /// `sum = sum * factor + weights W`.
    pub(super) fn add(
        &mut self,
        factors: impl Iterator<Item = f32>,
        weights: &[f32],
        head: HeadRows<'_>,
        width: usize,
    ) {
        let (rows, cols) = (self.rows(), self.cols());
        for (sum, factor) in self.sum.chunks_exact_mut(cols).zip(factors) {
            if factor != 1.0 {
                sum.iter_mut().for_each(|x| *x *= factor);
            }
        }
        let sum = MatMut::from_row_major_slice_mut(&mut self.sum, rows, cols);
        let weights = MatRef::from_row_major_slice(weights, rows, width);
        matmul(sum, Accum::Add, weights, MatRef::from_row_major_slice(head.weights, width, cols), 1.0, Par::Seq);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
pub(super) fn multiply(out: &mut [f32], x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out *= x;
    }
}

/// Turns logits into `exp(logit - max)`. Returns by what earlier sums are to be multiplied, and what this run is by itself: what
/// its logits were taken against, and its sum.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
pub(super) fn see(row: &mut [f32], running: &mut Running) -> (f32, f32, f32) {
    let (factor, base) = raise(row, running);
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            chunk[i] = exp(chunk[i] - base);
            lanes[i] += chunk[i];
        }
    }
    let mut sum: f64 = lanes.iter().map(|x| f64::from(*x)).sum();
    for x in rest {
        *x = exp(*x - base);
        sum += f64::from(*x);
    }
    running.sum += sum;
    (factor, base, sum as f32)
}

/// As [`see`] for the logits of a reference; `cross` also gets `sum of exp(other - max) * (other - logit)`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
pub(super) fn see_pair(others: &mut [f32], logits: &[f32], running: &mut Running, cross: &mut f64) -> f32 {
    let (factor, base) = raise(others, running);
    let ((chunks, rest), (logits, logits_rest)) = (others.as_chunks_mut::<LANES>(), logits.as_chunks::<LANES>());
    let (mut lanes, mut apart) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    for (chunk, logits) in chunks.iter_mut().zip(logits) {
        for i in 0..LANES {
            let difference = chunk[i] - logits[i];
            chunk[i] = exp(chunk[i] - base);
            lanes[i] += chunk[i];
            apart[i] += chunk[i] * difference;
        }
    }
    let mut sum: f64 = lanes.iter().map(|x| f64::from(*x)).sum();
    *cross = *cross * f64::from(factor) + apart.iter().map(|x| f64::from(*x)).sum::<f64>();
    for (x, logit) in rest.iter_mut().zip(logits_rest) {
        let difference = *x - logit;
        *x = exp(*x - base);
        sum += f64::from(*x);
        *cross += f64::from(*x * difference);
    }
    // In the same order as in `see`: a reference that is the model itself has the same sums.
    running.sum += sum;
    factor
}

/// Raises the maximum: by what earlier sums are to be multiplied, and what logits are taken against.
#[inline(always)]
fn raise(row: &[f32], running: &mut Running) -> (f32, f32) {
    let top = largest(row);
    let mut factor = 1.0;
    if top > running.max {
        factor = exp(running.max - top);
        running.sum *= f64::from(factor);
        running.max = top;
    }
    // Before there is any finite logit the sum is 0 unless there is a NaN.
    (factor, if running.max == f32::NEG_INFINITY { 0.0 } else { running.max })
}
