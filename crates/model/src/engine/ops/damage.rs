//! How far distributions over the vocabulary are from those of the original, tile by tile of the vocabulary: no logits are
//! kept beyond a tile.
//!
//! With delta = l - l', the original's logits less the variant's, and p the original's distribution,
//! `KL = sum p delta + ln sum p e^-delta`. Both sums see differences only, in f64: equal logits give exactly 0, and a divergence
//! of 1e-7 nats is off by some 1e-15.

use multiversion::multiversion;
use rayon::prelude::*;

use super::head::{HeadRows, block_logits};
use super::math::{exp_f64, largest};
use crate::engine::Rows;

/// The original's predictions over one tile of the vocabulary, of some rows, in the order in which variants are compared with
/// them: run after run of the vocabulary, in each row after row.
#[derive(Default)]
pub(crate) struct OriginalTile {
    /// First entry of the vocabulary.
    first: usize,
    /// Rows of a block: blocks are computed side by side.
    rows: usize,
    width: usize,
    /// `[N, width]` in all, block after block.
    logits: Vec<f32>,
    /// Probabilities, over the whole vocabulary.
    probabilities: Vec<f64>,
}

/// Rows in a block, at most: so many share the packing of the head's weights.
const BLOCK: usize = 512;

/// What the original predicts of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Original {
    /// The token that follows.
    target: u32,
    /// Log-sum-exp of the logits.
    log_sum: f64,
    /// Sum of the probabilities, which is 1 but for rounding.
    sum: f64,
    top: Top,
}

/// The most likely entry so far, the first of equals.
#[derive(Clone, Copy, Debug)]
struct Top {
    logit: f32,
    at: usize,
}

/// What is known so far of how a variant's distribution differs, in one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damage {
    /// `sum p delta`.
    mean: f64,
    /// `sum p e^-delta`.
    sum: f64,
    /// delta of the token that follows.
    target: f64,
    top: Top,
}

impl Top {
    const NONE: Self = Self { logit: f32::NEG_INFINITY, at: usize::MAX };

    fn see(&mut self, first: usize, run: &[f32]) {
        let logit = largest(run);
        if logit > self.logit {
            *self = Self { logit, at: first + run.iter().position(|x| *x == logit).unwrap_or(0) };
        }
    }
}

impl Original {
    pub(crate) fn new(target: u32, log_sum: f64) -> Self {
        Self { target, log_sum, sum: 0.0, top: Top::NONE }
    }
}

/// Bytes of what is known of a row, as it is left to go on from.
const SAVED: usize = 40;

impl Original {
    pub(crate) fn save(all: &[Self]) -> Vec<u8> {
        save(all.iter().map(|o| [f64::from(o.target), o.log_sum, o.sum, f64::from(o.top.logit), o.top.at as f64]))
    }

    /// `None`: not what [`Original::save`] left.
    pub(crate) fn restore(saved: &[u8]) -> Option<Vec<Self>> {
        let one = |[target, log_sum, sum, logit, at]: [f64; 5]| Self {
            target: target as u32,
            log_sum,
            sum,
            top: Top { logit: logit as f32, at: at as usize },
        };
        Some(restore(saved)?.map(one).collect())
    }
}

/// All of these are exact as f64: f32, ids, positions in a vocabulary, and the largest position, which stands for none.
fn save(all: impl Iterator<Item = [f64; 5]>) -> Vec<u8> {
    all.flatten().flat_map(f64::to_le_bytes).collect()
}

fn restore(saved: &[u8]) -> Option<impl Iterator<Item = [f64; 5]>> {
    let (rows, rest) = saved.as_chunks::<SAVED>();
    let value = |row: &[u8; SAVED], at: usize| f64::from_le_bytes(row.as_chunks().0[at]);
    rest.is_empty().then(|| rows.iter().map(move |row| std::array::from_fn(|at| value(row, at))))
}

impl Damage {
    pub(crate) fn save(all: &[Self]) -> Vec<u8> {
        save(all.iter().map(|d| [d.mean, d.sum, d.target, f64::from(d.top.logit), d.top.at as f64]))
    }

    /// `None`: not what [`Damage::save`] left.
    pub(crate) fn restore(saved: &[u8]) -> Option<Vec<Self>> {
        let one = |[mean, sum, target, logit, at]: [f64; 5]| Self {
            mean,
            sum,
            target,
            top: Top { logit: logit as f32, at: at as usize },
        };
        Some(restore(saved)?.map(one).collect())
    }

    pub(crate) const NONE: Self = Self { mean: 0.0, sum: 0.0, target: 0.0, top: Top::NONE };

    /// KL; what the negative log likelihood rises by; whether the most likely entry is the same. NaN becomes infinite.
    pub(crate) fn finish(&self, original: &Original) -> (f64, f64, bool) {
        // Both sums run over the lanes in the same order, so that they are equal where every delta is 0.
        let shift = (self.sum / original.sum).ln();
        let kl = self.mean / original.sum + shift;
        let rise = self.target + shift;
        let or_infinite = |x: f64| if x.is_nan() { f64::INFINITY } else { x };
        let kl = or_infinite(kl);
        // Rounding, where there is no difference to speak of.
        let kl = if kl < 0.0 { 0.0 } else { kl };
        (kl, or_infinite(rise), self.top.at == original.top.at && !shift.is_nan())
    }
}

impl OriginalTile {
    /// Computes the original's logits of x `[N, D]` over the rows of `head`, whose first is entry `first` of the vocabulary.
    /// `sides`: how many blocks there should be, so that all threads have some.
    pub(crate) fn see(
        &mut self,
        first: usize,
        x: Rows<'_>,
        head: HeadRows<'_>,
        originals: &mut [Original],
        sides: usize,
    ) {
        let width = head.weights.len() / x.cols().max(1);
        self.rows = x.len().div_ceil(sides.max(1)).clamp(64, BLOCK).next_multiple_of(4);
        (self.first, self.width) = (first, width);
        self.logits.resize(x.len() * width, 0.0);
        self.probabilities.resize(x.len() * width, 0.0);
        let (rows, size) = (self.rows, self.rows * width);
        let blocks = self.logits.par_chunks_mut(size).zip(self.probabilities.par_chunks_mut(size));
        blocks.zip(originals.par_chunks_mut(rows)).enumerate().with_max_len(1).for_each(
            |(block, ((logits, probabilities), originals))| {
                let x = x.slice(block * rows, originals.len());
                let (mut logits, mut probabilities) = (logits, probabilities);
                block_logits(x, head, originals, |original, run, found| {
                    let own = logits.split_off_mut(..found.len()).unwrap_or_default();
                    own.copy_from_slice(found);
                    let own = probabilities.split_off_mut(..found.len()).unwrap_or_default();
                    original.sum += probabilities_of(found, original.log_sum, own);
                    original.top.see(first + run, found);
                });
            },
        );
    }

    /// Compares variants, one item each: x `[N, D]` and what is known of the same rows.
    pub(crate) fn compare(
        &self,
        cols: usize,
        head: HeadRows<'_>,
        originals: &[Original],
        variants: Vec<(&[f32], &mut [Damage])>,
    ) {
        let blocks = variants.into_iter().flat_map(|(x, damages)| {
            let blocks = x.chunks(self.rows * cols).zip(damages.chunks_mut(self.rows));
            blocks.enumerate().map(|(block, (x, damages))| (block * self.rows, x, damages))
        });
        blocks.collect::<Vec<_>>().into_par_iter().with_max_len(1).for_each(|(start, x, damages)| {
            let mut rows: Vec<_> = damages.iter_mut().zip(&originals[start..]).collect();
            let own = start * self.width..(start + rows.len()) * self.width;
            let (mut logits, mut probabilities) = (&self.logits[own.clone()], &self.probabilities[own]);
            block_logits(Rows::dense(x, cols), head, &mut rows, |(damage, original), run, found| {
                let logits = logits.split_off(..found.len()).unwrap_or_default();
                let probabilities = probabilities.split_off(..found.len()).unwrap_or_default();
                let target = (original.target as usize).checked_sub(self.first + run);
                if let Some(at) = target.filter(|at| *at < found.len()) {
                    damage.target = f64::from(logits[at]) - f64::from(found[at]);
                }
                let (mean, sum) = differences(logits, probabilities, found);
                damage.mean += mean;
                damage.sum += sum;
                damage.top.see(self.first + run, found);
            });
        });
    }
}

/// Lanes of the sums: two AVX-512 registers of f64.
const LANES: usize = 16;

/// `e^(l - log_sum)`, and their sum.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn probabilities_of(logits: &[f32], log_sum: f64, out: &mut [f64]) -> f64 {
    for (out, l) in out.iter_mut().zip(logits) {
        *out = exp_f64(f64::from(*l) - log_sum);
    }
    let (chunks, rest) = out.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// `sum p delta` and `sum p e^-delta`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn differences(original: &[f32], p: &[f64], variant: &[f32]) -> (f64, f64) {
    let term = |l: f32, p: f64, other: f32| {
        let delta = f64::from(l) - f64::from(other);
        (p * delta, p * exp_f64(-delta))
    };
    let (ls, ls_rest) = original.as_chunks::<LANES>();
    let (ps, ps_rest) = p.as_chunks::<LANES>();
    let (others, others_rest) = variant.as_chunks::<LANES>();
    let (mut means, mut sums) = ([0.0; LANES], [0.0; LANES]);
    for ((l, p), other) in ls.iter().zip(ps).zip(others) {
        for i in 0..LANES {
            let (mean, sum) = term(l[i], p[i], other[i]);
            means[i] += mean;
            sums[i] += sum;
        }
    }
    let (mut mean, mut sum) = (0.0, 0.0);
    for ((l, p), other) in ls_rest.iter().zip(ps_rest).zip(others_rest) {
        let (of_mean, of_sum) = term(*l, *p, *other);
        mean += of_mean;
        sum += of_sum;
    }
    (means.iter().sum::<f64>() + mean, sums.iter().sum::<f64>() + sum)
}
