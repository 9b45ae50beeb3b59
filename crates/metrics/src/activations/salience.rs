//! `s_ij = |W_ij| sqrt(A_j)` of one cell: on the text, and in every resample.
//!
//! No resample looks at all weights again. The mean of s needs the columns' sums of |W| only. For outliers the limit on |W|
//! is a number per column and resample; the smallest and the largest of them over all resamples separate weights that are
//! outliers always or never from the few in between, and only those are compared resample by resample. The counts are
//! exact.

use multiversion::multiversion;
use tomo_map::stats::Bootstrap;

use super::lanes::{Energies, Lanes};
use super::sums::Salience;
use super::weights::{ColumnSums, Doubtful, Limits, Outliers, outliers};
use crate::{Matrix, Options};

/// What one cell's magnitudes say.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SalienceFound {
    pub(crate) text: Salience,
    /// One for each resample; empty without.
    pub(crate) resampled: Vec<Salience>,
}

impl SalienceFound {
    /// `score` on the text, and its interval.
    pub(crate) fn score(&self, score: fn(&Salience) -> f64) -> (f64, Option<(f64, f64)>) {
        (score(&self.text), Bootstrap::percentiles(self.resampled.iter().map(score).collect()))
    }
}

/// Looks at one cell. `wants_outliers` says whether [`Salience::outlier_share`] is read.
pub(crate) fn salience(
    matrix: Matrix<'_>,
    sums: &ColumnSums,
    energies: &Energies,
    bootstrap: &Bootstrap,
    options: &Options,
    wants_outliers: bool,
) -> SalienceFound {
    let numel = matrix.values.len() as f64;
    let sizes: Vec<f64> = energies.mean.iter().map(|a| a.sqrt()).collect();
    let mean = sums.abs.iter().zip(&sizes).map(|(abs, size)| abs * size).sum::<f64>() / numel;
    let abs: Vec<f32> = sums.abs.iter().map(|sum| (sum / numel) as f32).collect();
    let blocks = energies.by_block(bootstrap, |lanes| Block::new(lanes, &abs));
    let means: Vec<f32> = blocks.iter().flat_map(|(count, block)| block.means[..*count].iter().copied()).collect();
    if !wants_outliers {
        let resampled = means.iter().map(|mean| Salience { mean: f64::from(*mean), outlier_share: f64::NAN });
        return SalienceFound { text: Salience { mean, outlier_share: f64::NAN }, resampled: resampled.collect() };
    }
    let found = count_outliers(matrix, &sizes, mean, &blocks, options.outlier_factor);
    let shares = shares_of_resamples(&found, energies, bootstrap, &abs, numel, options.outlier_factor as f32);
    let resampled =
        means.iter().zip(shares).map(|(mean, share)| Salience { mean: f64::from(*mean), outlier_share: share });
    SalienceFound {
        text: Salience { mean, outlier_share: found.on_text as f64 / numel },
        resampled: resampled.collect(),
    }
}

/// A block of resamples: the mean of s in each, and the smallest and largest `sqrt(A_j) / mean` per column.
struct Block {
    means: [f32; Lanes::WIDTH],
    least: Vec<f32>,
    most: Vec<f32>,
}

impl Block {
    fn new(lanes: &Lanes<'_>, abs: &[f32]) -> Self {
        let means = means(lanes.values, abs);
        let (mut least, mut most) = (vec![0.0; abs.len()], vec![0.0; abs.len()]);
        extremes(lanes.values, &means, &mut least, &mut most);
        Self { means, least, most }
    }
}

/// Mean of s in each resample of a block; `abs` are the columns' sums of |W| over the number of weights.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn means(energies: &[[f32; Lanes::WIDTH]], abs: &[f32]) -> [f32; Lanes::WIDTH] {
    /// Columns added up in f32 before the sum goes on in f64.
    const RUN: usize = 64;
    let mut means = [0.0_f64; Lanes::WIDTH];
    for (energies, abs) in energies.chunks(RUN).zip(abs.chunks(RUN)) {
        let mut run = [0.0_f32; Lanes::WIDTH];
        for (energies, abs) in energies.iter().zip(abs) {
            for i in 0..Lanes::WIDTH {
                run[i] += abs * energies[i].sqrt();
            }
        }
        for i in 0..Lanes::WIDTH {
            means[i] += f64::from(run[i]);
        }
    }
    means.map(|mean| mean as f32)
}

/// `sqrt(A) / mean`: as both passes over the resamples compute it, so that they agree to the bit.
#[inline(always)]
fn relative(energy: f32, mean: f32) -> f32 {
    energy.sqrt() / mean
}

#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn extremes(energies: &[[f32; Lanes::WIDTH]], means: &[f32; Lanes::WIDTH], least: &mut [f32], most: &mut [f32]) {
    for ((energies, least), most) in energies.iter().zip(least).zip(most) {
        let (mut low, mut high) = ([f32::INFINITY; Lanes::WIDTH], [0.0_f32; Lanes::WIDTH]);
        for i in 0..Lanes::WIDTH {
            let size = relative(energies[i], means[i]);
            // Comparisons with NaN are false: a resample without tokens decides nothing.
            low[i] = if size < low[i] { size } else { low[i] };
            high[i] = if size > high[i] { size } else { high[i] };
        }
        *least = low.iter().copied().fold(f32::INFINITY, f32::min);
        *most = high.iter().copied().fold(0.0, f32::max);
    }
}

/// Sorts the weights into outliers on the text, in all resamples, and in some.
fn count_outliers(matrix: Matrix<'_>, sizes: &[f64], mean: f64, blocks: &[(usize, Block)], factor: f64) -> Outliers {
    // |w| sqrt(A) > M mean, as a limit on |w|; the largest f32 not above it separates the same weights.
    let text: Vec<f32> = sizes.iter().map(|size| at_most(factor * mean / size)).collect();
    let over = |start: f32, pick: fn(&Block) -> &[f32], fold: fn(f32, f32) -> f32| {
        let mut all = vec![start; sizes.len()];
        for (_, block) in blocks {
            all.iter_mut().zip(pick(block)).for_each(|(all, one)| *all = fold(*all, *one));
        }
        all
    };
    let (least, most) = (over(f32::INFINITY, |b| &b.least, f32::min), over(0.0, |b| &b.most, f32::max));
    // A hair wider than the band: what is inside is looked at again, exactly.
    let factor = factor as f32;
    let never: Vec<f32> = most.iter().map(|most| factor / most * (1.0 - 1e-5)).collect();
    let always: Vec<f32> = least.iter().map(|least| factor / least * (1.0 + 1e-5)).collect();
    let none = vec![f32::INFINITY; sizes.len()];
    let limits = match blocks.is_empty() {
        true => Limits { text: &text, never: &none, always: &none },
        false => Limits { text: &text, never: &never, always: &always },
    };
    outliers(matrix, limits)
}

/// The largest f32 that is not above `limit`; infinity for NaN (0 / 0: a column of zeros in a cell of zeros).
fn at_most(limit: f64) -> f32 {
    let rounded = limit as f32;
    match rounded {
        _ if limit.is_nan() => f32::INFINITY,
        _ if f64::from(rounded) > limit => rounded.next_down(),
        _ => rounded,
    }
}

/// Share of outliers in each resample.
fn shares_of_resamples(
    found: &Outliers,
    energies: &Energies,
    bootstrap: &Bootstrap,
    abs: &[f32],
    numel: f64,
    factor: f32,
) -> Vec<f64> {
    let blocks = energies.by_block(bootstrap, |lanes| {
        let means = means(lanes.values, abs);
        let doubtful = count_doubtful(&found.doubtful, lanes.values, &means, factor);
        let mut shares = [f64::NAN; Lanes::WIDTH];
        for ((share, count), mean) in shares.iter_mut().zip(doubtful).zip(means) {
            if mean.is_finite() {
                *share = (found.always as f64 + f64::from(count)) / numel;
            }
        }
        shares
    });
    blocks.into_iter().flat_map(|(count, shares)| shares.into_iter().take(count)).collect()
}

/// How many of the doubtful weights are outliers in each resample of a block.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn count_doubtful(
    doubtful: &[Doubtful],
    energies: &[[f32; Lanes::WIDTH]],
    means: &[f32; Lanes::WIDTH],
    factor: f32,
) -> [u32; Lanes::WIDTH] {
    let mut counts = [0_u32; Lanes::WIDTH];
    for of_column in doubtful.chunk_by(|a, b| a.0 == b.0) {
        let energies = &energies[of_column[0].0 as usize];
        let mut sizes = [0.0_f32; Lanes::WIDTH];
        for i in 0..Lanes::WIDTH {
            sizes[i] = relative(energies[i], means[i]);
        }
        for (_, w) in of_column {
            for i in 0..Lanes::WIDTH {
                counts[i] += u32::from(w * sizes[i] > factor);
            }
        }
    }
    counts
}
