use super::ZERO;
use crate::lanes::{LANES, Lane, each, signed_abs_max};

/// Levels of `IQ4_NL` and `IQ4_XS`.
pub(crate) const IQ4_LEVELS: [f32; 16] =
    [-127., -104., -83., -65., -49., -35., -22., -10., 1., 13., 25., 38., 53., 69., 89., 113.];

/// Halfway between a level and the next. What lies on it belongs to the next.
const MIDDLES: [f32; 15] = {
    let mut middles = [0.0; 15];
    let mut k = 0;
    while k < 15 {
        middles[k] = (IQ4_LEVELS[k] + IQ4_LEVELS[k + 1]) / 2.0;
        k += 1;
    }
    middles
};

/// Nearest level; the highest for what is no number.
#[inline(always)]
fn nearest_level(x: f32) -> f32 {
    let mut level = IQ4_LEVELS[0];
    for (k, middle) in MIDDLES.iter().enumerate() {
        level += if x < *middle { 0.0 } else { IQ4_LEVELS[k + 1] - IQ4_LEVELS[k] };
    }
    level
}

/// Index of [`nearest_level`].
#[inline(always)]
pub(crate) fn nearest_level_index(x: f32) -> f32 {
    let mut index = 0.0;
    for middle in &MIDDLES {
        index += if x < *middle { 0.0 } else { 1.0 };
    }
    index
}

/// Search for the scale of `w ~ scale * level`, as ggml does for both types; 0 for a block of zeros.
#[inline(always)]
pub(crate) fn fit_to_levels<const N: usize>(x: &[Lane; N], weights: &[Lane; N]) -> Lane {
    /// Scales tried put the largest weight on the lowest level, and up to this much beside it.
    const TRIES: i8 = 7;
    let largest = signed_abs_max(x);
    let zero: [bool; LANES] = std::array::from_fn(|l| largest[l].abs() < ZERO);

    let inverse = each(|l| 1.0 / (-largest[l] / IQ4_LEVELS[0]));
    let (sum_qx, sum_q2) = sums(x, weights, &inverse);
    let mut scale = each(|l| if sum_q2[l] > 0.0 { sum_qx[l] / sum_q2[l] } else { 0.0 });
    let mut best = each(|l| scale[l] * sum_qx[l]);
    for k in -TRIES..=TRIES {
        let inverse = each(|l| (f32::from(k) + IQ4_LEVELS[0]) / largest[l]);
        let (sum_qx, sum_q2) = sums(x, weights, &inverse);
        let better: [bool; LANES] =
            std::array::from_fn(|l| sum_q2[l] > 0.0 && sum_qx[l] * sum_qx[l] > best[l] * sum_q2[l]);
        scale = each(|l| if better[l] { sum_qx[l] / sum_q2[l] } else { scale[l] });
        best = each(|l| if better[l] { scale[l] * sum_qx[l] } else { best[l] });
    }
    each(|l| if zero[l] { 0.0 } else { scale[l] })
}

/// Sums of weight * w * level and weight * level^2 with the levels that an inverse scale gives.
#[inline(always)]
fn sums<const N: usize>(x: &[Lane; N], weights: &[Lane; N], inverse: &Lane) -> (Lane, Lane) {
    let (mut sum_qx, mut sum_q2) = ([0.0; LANES], [0.0; LANES]);
    for (x, w) in x.iter().zip(weights) {
        let q = each(|l| nearest_level(inverse[l] * x[l]));
        sum_qx = each(|l| sum_qx[l] + w[l] * q[l] * x[l]);
        sum_q2 = each(|l| sum_q2[l] + w[l] * q[l] * q[l]);
    }
    (sum_qx, sum_q2)
}
