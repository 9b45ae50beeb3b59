use crate::lanes::{LANES, Lane, each};

/// What the scale of rounded numbers follows from, of each block.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    /// Of weight * x * q.
    pub(super) xq: Lane,
    /// Of weight * q^2.
    pub(super) q2: Lane,
}

impl Sums {
    pub(super) const ZERO: Self = Self { xq: [0.0; LANES], q2: [0.0; LANES] };

    /// With one more number, its level q.
    #[inline(always)]
    pub(super) fn with(&self, x: &Lane, weight: &Lane, q: &Lane) -> Self {
        Self { xq: each(|l| self.xq[l] + weight[l] * x[l] * q[l]), q2: each(|l| self.q2[l] + weight[l] * q[l] * q[l]) }
    }

    /// With one number less.
    #[inline(always)]
    fn without(&self, x: &Lane, weight: &Lane, q: &Lane) -> Self {
        Self { xq: each(|l| self.xq[l] - weight[l] * x[l] * q[l]), q2: each(|l| self.q2[l] - weight[l] * q[l] * q[l]) }
    }

    /// The scale of least squares; 0 where there is none, and for blocks of zeros.
    #[inline(always)]
    pub(super) fn scale(&self, zero: &[bool; LANES]) -> Lane {
        each(|l| if !zero[l] && self.q2[l] > 0.0 { self.xq[l] / self.q2[l] } else { 0.0 })
    }
}

/// Moves one number after the other to the level that the scale of all the others gives it, where that fits better, up to
/// five times around.
pub(super) struct Polish<R, S, C> {
    /// The level of a quotient.
    pub(super) round: R,
    /// What is kept of a level.
    pub(super) store: S,
    /// Whether sums of q^2 without a number, and with it at its new level, count.
    pub(super) counts: C,
}

impl<R: Fn(f32) -> f32, S: Fn(f32) -> f32, C: Fn(f32, f32) -> bool> Polish<R, S, C> {
    #[inline(always)]
    pub(super) fn run<const N: usize>(&self, x: &[Lane; N], weights: &[Lane; N], q: &mut [Lane; N], sums: &mut Sums) {
        for _ in 0..5 {
            let mut moved = false;
            for (q, (x, w)) in q.iter_mut().zip(x.iter().zip(weights)) {
                let others = sums.without(x, w, q);
                let level = each(|l| (self.round)(x[l] * others.q2[l] / others.xq[l]));
                let new = others.with(x, w, &level);
                let better: [bool; LANES] = std::array::from_fn(|l| {
                    let gains = new.xq[l] * new.xq[l] * sums.q2[l] > sums.xq[l] * sums.xq[l] * new.q2[l];
                    (others.xq[l] > 0.0) & (self.counts)(others.q2[l], new.q2[l]) & (level[l] != q[l]) & gains
                });
                let keep = |new: &Lane, old: &Lane| each(|l| if better[l] { new[l] } else { old[l] });
                *q = keep(&each(|l| (self.store)(level[l])), q);
                *sums = Sums { xq: keep(&new.xq, &sums.xq), q2: keep(&new.q2, &sums.q2) };
                moved |= better.iter().any(|b| *b);
            }
            // A block that stood still would stand still again, so those that moved can be waited for.
            if !moved {
                break;
            }
        }
    }
}
