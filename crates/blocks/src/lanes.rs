//! Sixteen blocks side by side.
//!
//! llama.cpp adds up a block's sums weight by weight in f32, so an encoder that wants its bytes must add in that order.
//! Arithmetic is therefore not spread over the weights of one block but over blocks: weight `i` of sixteen blocks is
//! one [`Lane`], and every block has its sums in its own place, in order. Multiplications and additions are
//! never fused.

/// Blocks handled at once: one AVX-512 register of f32.
pub(crate) const LANES: usize = 16;

/// One number of each of sixteen blocks.
pub(crate) type Lane = [f32; LANES];

/// A lane from the number of each block.
#[inline(always)]
pub(crate) fn each(of: impl Fn(usize) -> f32) -> Lane {
    std::array::from_fn(of)
}

/// Weight `i` of each block, for blocks of N that follow each other in `values`; blocks that are not there are zeros.
#[inline(always)]
pub(crate) fn side_by_side<const N: usize>(values: &[f32]) -> [Lane; N] {
    let mut lanes = [[0.0; LANES]; N];
    for (block, values) in values.as_chunks::<N>().0.iter().enumerate().take(LANES) {
        for (lane, value) in lanes.iter_mut().zip(values) {
            lane[block] = *value;
        }
    }
    lanes
}

/// 1.5 * 2^23: added to an f32 below 2^22, it leaves the nearest integer (ties to even) in the low bits of the sum.
const INTEGER_SHIFT: f32 = 12_582_912.0;

/// Nearest integer, ties to even, for |x| < 2^22. Beyond that, and for what is no number, it is what the bits of the sum
/// say, as in llama.cpp: blocks of numbers near the bottom of f32 get there, and their bytes shall be equal too.
#[inline(always)]
pub(crate) fn nearest(x: f32) -> i32 {
    ((x + INTEGER_SHIFT).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// [`nearest`], limited to `low..=high`.
#[inline(always)]
pub(crate) fn nearest_within(x: f32, low: i32, high: i32) -> f32 {
    nearest(x).max(low).min(high) as f32
}

/// Integers that a sum of at least 0 and its part after the point round down to; 0 for what no `i32` can hold, as
/// x86 processors convert it.
#[inline(always)]
pub(crate) fn truncated(x: f32) -> u8 {
    if x < 256.0 { x as u8 } else { 0 }
}

/// In each block, the weight with the largest |w|, the first one of equals; 0 where all are 0.
#[inline(always)]
pub(crate) fn signed_abs_max<const N: usize>(x: &[Lane; N]) -> Lane {
    let (mut largest, mut signed) = ([0.0_f32; LANES], [0.0; LANES]);
    for x in x {
        let above: [bool; LANES] = std::array::from_fn(|l| x[l].abs() > largest[l]);
        signed = each(|l| if above[l] { x[l] } else { signed[l] });
        largest = each(|l| if above[l] { x[l].abs() } else { largest[l] });
    }
    signed
}

/// Sum of the lanes, block by block, in order.
#[inline(always)]
pub(crate) fn sum<const N: usize>(terms: &[Lane; N]) -> Lane {
    let mut sums = [0.0; LANES];
    for term in terms {
        sums = each(|l| sums[l] + term[l]);
    }
    sums
}

/// Sum of squares of a row or a part of one, in order.
#[inline(always)]
pub(crate) fn sum_of_squares(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |sum, w| sum + w * w)
}

/// Importance of each weight with its size mixed in: `importance * sqrt(variance + w^2)`.
#[inline(always)]
pub(crate) fn weighted<const N: usize>(x: &[Lane; N], importance: &[Lane; N], variance: &Lane) -> [Lane; N] {
    let mut weights = [[0.0; LANES]; N];
    for (weight, (x, importance)) in weights.iter_mut().zip(x.iter().zip(importance)) {
        *weight = each(|l| importance[l] * (variance[l] + x[l] * x[l]).sqrt());
    }
    weights
}
