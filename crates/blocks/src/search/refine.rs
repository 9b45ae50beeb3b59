use super::ZERO;
use crate::lanes::{LANES, Lane, each, nearest_within, signed_abs_max};

/// What [`refine`] found, of each block.
pub(crate) struct RefinedFit<const N: usize> {
    /// May be negative; 0 for a block of zeros.
    pub(crate) scale: Lane,
    /// Levels counted from the lowest: `0..2 * reach`. A block of zeros has the lowest.
    pub(crate) codes: [Lane; N],
}

/// Search for `w ~ scale * q` with q in `-reach..reach`, weighted by w^2: as ggml's `make_q3_quants`. Starts from the scale
/// that covers the block, then moves one weight after the other to the level that suits all the others best, up to five
/// times around.
#[inline(always)]
pub(crate) fn refine<const N: usize>(reach: i32, x: &[Lane; N]) -> RefinedFit<N> {
    let largest = signed_abs_max(x);
    let zero: [bool; LANES] = std::array::from_fn(|l| largest[l].abs() < ZERO);
    let inverse = each(|l| -reach as f32 / largest[l]);

    let mut q = [[0.0; LANES]; N];
    let (mut sum_xq, mut sum_q2) = ([0.0; LANES], [0.0; LANES]);
    for (q, x) in q.iter_mut().zip(x) {
        *q = each(|l| nearest_within(inverse[l] * x[l], -reach, reach - 1));
        let w = each(|l| x[l] * x[l]);
        sum_xq = each(|l| sum_xq[l] + w[l] * x[l] * q[l]);
        sum_q2 = each(|l| sum_q2[l] + w[l] * q[l] * q[l]);
    }
    for _ in 0..5 {
        let mut moved = false;
        for (q, x) in q.iter_mut().zip(x) {
            let w = each(|l| x[l] * x[l]);
            let others_xq = each(|l| sum_xq[l] - w[l] * x[l] * q[l]);
            let others_q2 = each(|l| sum_q2[l] - w[l] * q[l] * q[l]);
            let new = each(|l| nearest_within(x[l] * others_q2[l] / others_xq[l], -reach, reach - 1));
            let new_xq = each(|l| others_xq[l] + w[l] * x[l] * new[l]);
            let new_q2 = each(|l| others_q2[l] + w[l] * new[l] * new[l]);
            let better: [bool; LANES] = std::array::from_fn(|l| {
                let gains = new_xq[l] * new_xq[l] * sum_q2[l] > sum_xq[l] * sum_xq[l] * new_q2[l];
                (others_xq[l] > 0.0) & (new[l] != q[l]) & (new_q2[l] > 0.0) & gains
            });
            let keep = |new: &Lane, old: &Lane| each(|l| if better[l] { new[l] } else { old[l] });
            *q = keep(&new, q);
            sum_xq = keep(&new_xq, &sum_xq);
            sum_q2 = keep(&new_q2, &sum_q2);
            moved |= better.iter().any(|b| *b);
        }
        // A block that stood still would stand still again, so those that moved can be waited for.
        if !moved {
            break;
        }
    }
    let codes = q.map(|q| each(|l| if zero[l] { 0.0 } else { q[l] + reach as f32 }));
    let scale = each(|l| if !zero[l] && sum_q2[l] > 0.0 { sum_xq[l] / sum_q2[l] } else { 0.0 });
    RefinedFit { scale, codes }
}
