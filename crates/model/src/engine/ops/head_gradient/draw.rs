//! Drawing from a distribution whose tiles were summed as they went by.

use std::ops::Range;

use multiversion::multiversion;

use super::super::head::{HeadRows, finish};
use super::super::math::{LANES, exp};
use super::distribution::Running;

/// Where the distribution function crosses a number.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) entries: Range<usize>,
    /// After which share of their probability.
    pub(super) share: f64,
}

/// In which tile the distribution function passes `uniform`, of tiles with what their logits were taken against and their
/// sums. Their shares are taken of their own total, so that roundings leave no gap at the end.
pub(super) fn place<'t>(
    uniform: f64,
    own: Running,
    tiles: impl Iterator<Item = (&'t Range<usize>, &'t (f32, f32))> + Clone,
) -> Place {
    let share = |(max, sum): &(f32, f32)| f64::from(exp(max - own.max)) * f64::from(*sum);
    let total: f64 = tiles.clone().map(|(_, tile)| share(tile)).sum();
    let (goal, mut before) = (uniform * total, 0.0);
    let mut last = Place { entries: 0..1, share: 1.0 };
    for (entries, tile) in tiles {
        let share = share(tile);
        if before + share > goal {
            return Place { entries: entries.clone(), share: (goal - before) / share };
        }
        if share > 0.0 {
            last.entries = entries.clone();
        }
        before += share;
    }
    last
}

/// The first of `head`'s entries up to which their probabilities sum to more than `share` of all of theirs, and its logit. The
/// last possible one where there is none.
pub(super) fn cross(x: &[f32], head: HeadRows<'_>, share: f64, log_sum_exp: f64) -> (usize, f32) {
    let mut logits: Vec<f32> = head.weights.chunks_exact(x.len()).map(|w| dot(x, w)).collect();
    finish(&mut logits, head.bias, head.scale, head.softcap);
    let shares: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - log_sum_exp).exp()).collect();
    let goal = share * shares.iter().sum::<f64>();
    let (mut sum, mut last) = (0.0, 0);
    for (at, share) in shares.into_iter().enumerate() {
        sum += share;
        if share > 0.0 {
            last = at;
        }
        if sum > goal {
            break;
        }
    }
    (last, logits[last])
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(a * b)).sum();
    (lanes.iter().map(|x| f64::from(*x)).sum::<f64>() + rest) as f32
}
