use super::ZERO;
use super::polish::{Polish, Sums};
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

    let level = |x: f32| nearest(x).min(highest) as f32;
    let mut sums = Sums::ZERO;
    let mut q = [[0.0; LANES]; N];
    for (q, (x, w)) in q.iter_mut().zip(x.iter().zip(weights)) {
        let levels = each(|l| level(inverse[l] * x[l]));
        sums = sums.with(x, w, &levels);
        *q = levels.map(as_byte);
    }
    Polish { round: level, store: as_byte, counts: |without: f32, _| without > 0.0 }.run(x, weights, &mut q, &mut sums);
    (sums.scale(&zero), q.map(|q| each(|l| if zero[l] { 0.0 } else { q[l] })))
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
