use super::ZERO;
use crate::lanes::{LANES, Lane, each, nearest_within, signed_abs_max};

/// What [`symmetric`] found, of each block.
pub(crate) struct SymmetricFit {
    /// May be negative; 0 for a block of zeros.
    pub(crate) scale: Lane,
    inverse: Lane,
    zero: [bool; LANES],
    reach: i32,
}

impl SymmetricFit {
    /// The level of a weight in a block, counted from the lowest: `0..2 * reach`. A block of zeros has the lowest.
    #[inline(always)]
    pub(crate) fn code(&self, block: usize, w: f32) -> f32 {
        let level = nearest_within(self.inverse[block] * w, -self.reach, self.reach - 1);
        if self.zero[block] { 0.0 } else { level + self.reach as f32 }
    }
}

/// Search for `w ~ scale * q` with q in `-reach..reach`: as ggml's `make_qx_quants` with weights.
///
/// The weight with the largest |w| lands on `-reach`, the end with one level more, or near it.
#[inline(always)]
pub(crate) fn symmetric<const N: usize>(reach: i32, x: &[Lane; N], weights: &[Lane; N]) -> SymmetricFit {
    let largest = signed_abs_max(x);
    let zero: [bool; LANES] = std::array::from_fn(|l| largest[l].abs() < ZERO);

    let mut inverse = each(|l| -reach as f32 / largest[l]);
    let (sum_xq, sum_q2) = sums(reach, x, weights, &inverse);
    let mut scale = each(|l| if sum_q2[l] != 0.0 { sum_xq[l] / sum_q2[l] } else { 0.0 });
    let mut best = each(|l| scale[l] * sum_xq[l]);
    for k in (-9_i8..=9).filter(|k| *k != 0) {
        let levels = -(reach as f32 + 0.1 * f32::from(k));
        let tried = each(|l| levels / largest[l]);
        let (sum_xq, sum_q2) = sums(reach, x, weights, &tried);
        let better: [bool; LANES] =
            std::array::from_fn(|l| sum_q2[l] > 0.0 && sum_xq[l] * sum_xq[l] > best[l] * sum_q2[l]);
        let keep = |new: &Lane, old: &Lane| each(|l| if better[l] { new[l] } else { old[l] });
        inverse = keep(&tried, &inverse);
        scale = keep(&each(|l| sum_xq[l] / sum_q2[l]), &scale);
        best = keep(&each(|l| scale[l] * sum_xq[l]), &best);
    }
    SymmetricFit { scale: each(|l| if zero[l] { 0.0 } else { scale[l] }), inverse, zero, reach }
}

/// Sums of weight * w * q and weight * q^2 with the levels that an inverse scale gives.
#[inline(always)]
fn sums<const N: usize>(reach: i32, x: &[Lane; N], weights: &[Lane; N], inverse: &Lane) -> (Lane, Lane) {
    let (mut sum_xq, mut sum_q2) = ([0.0; LANES], [0.0; LANES]);
    for (x, w) in x.iter().zip(weights) {
        let q = each(|l| nearest_within(inverse[l] * x[l], -reach, reach - 1));
        sum_xq = each(|l| sum_xq[l] + w[l] * x[l] * q[l]);
        sum_q2 = each(|l| sum_q2[l] + w[l] * q[l] * q[l]);
    }
    (sum_xq, sum_q2)
}
