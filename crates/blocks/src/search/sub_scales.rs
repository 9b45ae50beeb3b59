use super::ZERO;
use crate::lanes::{LANES, Lane, each, nearest};

/// Search for `x ~ scale * q` with q in `0..=highest` for numbers x of at least 0, the scales or minimums of a super-block's
/// parts: as ggml's `make_qp_quants`. Gives the scale and each part's q.
#[inline(always)]
pub(crate) fn sub_scales<const N: usize>(highest: i32, x: &[Lane; N], weights: &[Lane; N]) -> (Lane, [Lane; N]) {
    let mut largest = [0.0; LANES];
    for x in x {
        largest = each(|l| if largest[l] > x[l] { largest[l] } else { x[l] });
    }
    let zero: [bool; LANES] = std::array::from_fn(|l| largest[l] < ZERO);

    let mut inverse = each(|l| highest as f32 / largest[l]);
    let mut best = error(x, weights, &inverse, as_byte);
    for k in (-4_i8..=4).filter(|k| *k != 0) {
        let levels = 0.1 * f32::from(k) + highest as f32;
        let tried = each(|l| levels / largest[l]);
        let error = error(x, weights, &tried, |q| q.min(highest as f32));
        let better: [bool; LANES] = std::array::from_fn(|l| error[l] < best[l]);
        best = each(|l| if better[l] { error[l] } else { best[l] });
        inverse = each(|l| if better[l] { tried[l] } else { inverse[l] });
    }

    let mut q = [[0.0; LANES]; N];
    let (mut sum_xq, mut sum_q2) = ([0.0; LANES], [0.0; LANES]);
    for (q, (x, w)) in q.iter_mut().zip(x.iter().zip(weights)) {
        let level = each(|l| nearest(inverse[l] * x[l]).min(highest) as f32);
        sum_xq = each(|l| sum_xq[l] + w[l] * x[l] * level[l]);
        sum_q2 = each(|l| sum_q2[l] + w[l] * level[l] * level[l]);
        *q = level.map(as_byte);
    }
    for _ in 0..5 {
        let mut moved = false;
        for (q, (x, w)) in q.iter_mut().zip(x.iter().zip(weights)) {
            let others_xq = each(|l| sum_xq[l] - w[l] * x[l] * q[l]);
            let others_q2 = each(|l| sum_q2[l] - w[l] * q[l] * q[l]);
            let new = each(|l| nearest(x[l] * others_q2[l] / others_xq[l]).min(highest) as f32);
            let new_xq = each(|l| others_xq[l] + w[l] * x[l] * new[l]);
            let new_q2 = each(|l| others_q2[l] + w[l] * new[l] * new[l]);
            let better: [bool; LANES] = std::array::from_fn(|l| {
                let gains = new_xq[l] * new_xq[l] * sum_q2[l] > sum_xq[l] * sum_xq[l] * new_q2[l];
                (others_xq[l] > 0.0) & (others_q2[l] > 0.0) & (new[l] != q[l]) & gains
            });
            let keep = |new: &Lane, old: &Lane| each(|l| if better[l] { new[l] } else { old[l] });
            *q = keep(&new.map(as_byte), q);
            sum_xq = keep(&new_xq, &sum_xq);
            sum_q2 = keep(&new_q2, &sum_q2);
            moved |= better.iter().any(|b| *b);
        }
        if !moved {
            break;
        }
    }
    let scale = each(|l| if !zero[l] && sum_q2[l] > 0.0 { sum_xq[l] / sum_q2[l] } else { 0.0 });
    (scale, q.map(|q| each(|l| if zero[l] { 0.0 } else { q[l] })))
}

/// Weighted squared error of rounding with an inverse scale; `kept` is what becomes of a level out of range.
#[inline(always)]
fn error<const N: usize>(x: &[Lane; N], weights: &[Lane; N], inverse: &Lane, kept: impl Fn(f32) -> f32) -> Lane {
    let scale = each(|l| 1.0 / inverse[l]);
    let mut error = [0.0; LANES];
    for (x, w) in x.iter().zip(weights) {
        let off = each(|l| x[l] - scale[l] * kept(nearest(inverse[l] * x[l]) as f32));
        error = each(|l| error[l] + w[l] * off[l] * off[l]);
    }
    error
}

/// An integer as a byte keeps it: modulo 256.
#[inline(always)]
fn as_byte(q: f32) -> f32 {
    f32::from(q as i32 as u8)
}
