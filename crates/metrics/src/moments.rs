//! Power sums over the entries of a matrix: one sweep that `rms`, `mean-abs`, `kurtosis` and others share.
//!
//! Everything is f64 from the first product on, in fixed lanes, so that a sum is the same to the bit whatever
//! instructions the machine has. A NaN among the entries makes every sum NaN.

use multiversion::multiversion;

use crate::Moments;

/// Entries handled side by side: two AVX-512 registers of f64, so that one addition need not wait for the last.
const LANES: usize = 16;

/// Entries widened at a time; 4 KiB of f64.
const BLOCK: usize = 512;

impl Moments {
    /// Root mean square; NaN without entries.
    pub fn rms(&self) -> f64 {
        (self.sum2 / self.count).sqrt()
    }

    /// Mean of |w|; NaN without entries.
    pub fn mean_abs(&self) -> f64 {
        self.sum_abs / self.count
    }

    /// Second and fourth moments about the mean. They lose digits when the mean is many standard deviations away from
    /// the point the sums were taken about.
    pub fn central(&self) -> (f64, f64) {
        let mean = self.sum / self.count;
        let [e2, e3, e4] = [self.sum2, self.sum3, self.sum4].map(|sum| sum / self.count);
        let m2 = e2 - mean * mean;
        let m4 = e4 - 4.0 * mean * e3 + 6.0 * mean * mean * e2 - 3.0 * mean.powi(4);
        (m2, m4)
    }
}

/// Power sums about 0.
pub(crate) fn sweep(values: &[f32]) -> Moments {
    sweep_about(values, 0.0)
}

/// Power sums of `w - centre`; `count` and `max_abs` are of the same differences.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
pub(crate) fn sweep_about(values: &[f32], centre: f64) -> Moments {
    let mut lanes = Lanes::default();
    let mut block = [0.0; BLOCK];
    for entries in values.chunks(BLOCK) {
        for (x, w) in block.iter_mut().zip(entries) {
            *x = f64::from(*w) - centre;
        }
        // What is left of a short last block changes no sum when it is zero.
        block[entries.len()..].fill(0.0);
        lanes.add(&block);
    }
    lanes.total(values.len())
}

/// How many entries lie further from 0 than `limit`.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
pub(crate) fn count_beyond(values: &[f32], limit: f64) -> usize {
    // The largest f32 not above the limit separates the same entries, and f32 compares twice as many at a time.
    let rounded = limit as f32;
    let limit = if f64::from(rounded) > limit { rounded.next_down() } else { rounded };
    let mut count = 0;
    // A block is short enough for a 32-bit count.
    for block in values.chunks(1 << 16) {
        let mut beyond = 0_u32;
        for w in block {
            beyond += u32::from(w.abs() > limit);
        }
        count += beyond as usize;
    }
    count
}

/// Folds a block into the lanes of one sum.
#[inline(always)]
fn accumulate(into: &mut [f64; LANES], block: &[f64; BLOCK], fold: impl Fn(f64, f64) -> f64) {
    let mut lanes = *into;
    let (chunks, _) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = fold(lanes[i], chunk[i]);
        }
    }
    *into = lanes;
}

#[derive(Default)]
struct Lanes {
    sum: [f64; LANES],
    sum_abs: [f64; LANES],
    sum2: [f64; LANES],
    sum3: [f64; LANES],
    sum4: [f64; LANES],
    max_abs: [f64; LANES],
}

impl Lanes {
    /// One pass over the block per sum: the block stays in the nearest cache, and each pass is a loop that compilers turn
    /// into full registers, which they do not manage for all sums at once.
    #[inline(always)]
    fn add(&mut self, block: &[f64; BLOCK]) {
        accumulate(&mut self.sum, block, |sum, x| sum + x);
        accumulate(&mut self.sum_abs, block, |sum, x| sum + x.abs());
        accumulate(&mut self.sum2, block, |sum, x| sum + x * x);
        accumulate(&mut self.sum3, block, |sum, x| sum + x * x * x);
        accumulate(&mut self.sum4, block, |sum, x| sum + (x * x) * (x * x));
        accumulate(&mut self.max_abs, block, |max, x| if x.abs() > max { x.abs() } else { max });
    }

    #[inline(always)]
    fn total(&self, count: usize) -> Moments {
        let sum_abs = self.sum_abs.iter().sum::<f64>();
        let max_abs = self.max_abs.iter().copied().fold(0.0, f64::max);
        Moments {
            count: count as f64,
            sum: self.sum.iter().sum(),
            sum_abs,
            sum2: self.sum2.iter().sum(),
            sum3: self.sum3.iter().sum(),
            sum4: self.sum4.iter().sum(),
            // Comparisons pass over NaN; the sums do not.
            max_abs: if sum_abs.is_nan() { f64::NAN } else { max_abs },
        }
    }
}
