use super::ZERO;
use super::polish::{Polish, Sums};
use crate::lanes::{LANES, Lane, each, nearest_within, signed_abs_max};

/// What [`refine`] found, of each block.
pub(crate) struct RefinedFit<const N: usize> {
    /// May be negative; 0 for a block of zeros.
    pub(crate) scale: Lane,
    /// Levels counted from the lowest: `0..2 * reach`. A block of zeros has the lowest.
    pub(crate) codes: [Lane; N],
}

/// Search for `w ~ scale * q` with q in `-reach..reach`, weighted by w^2: as ggml's `make_q3_quants`. Starts from the scale
/// that covers the block.
#[inline(always)]
pub(crate) fn refine<const N: usize>(reach: i32, x: &[Lane; N]) -> RefinedFit<N> {
    let largest = signed_abs_max(x);
    let zero: [bool; LANES] = std::array::from_fn(|l| largest[l].abs() < ZERO);
    let inverse = each(|l| -reach as f32 / largest[l]);
    let weights = x.map(|x| each(|l| x[l] * x[l]));

    let mut sums = Sums::ZERO;
    let mut q = x.map(|x| each(|l| nearest_within(inverse[l] * x[l], -reach, reach - 1)));
    for ((x, w), q) in x.iter().zip(&weights).zip(&q) {
        sums = sums.with(x, w, q);
    }
    let polish =
        Polish { round: |x| nearest_within(x, -reach, reach - 1), store: |q| q, counts: |_, with: f32| with > 0.0 };
    polish.run(x, &weights, &mut q, &mut sums);
    let codes = q.map(|q| each(|l| if zero[l] { 0.0 } else { q[l] + reach as f32 }));
    RefinedFit { scale: sums.scale(&zero), codes }
}
