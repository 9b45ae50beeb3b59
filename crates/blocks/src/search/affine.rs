use crate::lanes::{LANES, Lane, each, nearest_within};

/// Search for `w ~ scale * q - minimum` with q in `0..=highest`: as ggml's `make_qkx2_quants` and `make_qkx3_quants`.
pub(crate) struct Affine {
    /// Largest level.
    pub(crate) highest: i32,
    /// Scales tried cover the block with `highest + first + step * k` levels, k in `0..=steps`.
    pub(crate) first: f32,
    pub(crate) step: f32,
    pub(crate) steps: u8,
    /// Whether the error that decides is |difference| instead of its square.
    pub(crate) absolute: bool,
}

/// What was found, of each block.
pub(crate) struct AffineFit {
    pub(crate) scale: Lane,
    /// Taken off, at least 0.
    pub(crate) minimum: Lane,
    /// Levels are those of `inverse * (w + offset)`.
    inverse: Lane,
    offset: Lane,
    highest: i32,
}

impl AffineFit {
    /// The level of a weight in a block.
    #[inline(always)]
    pub(crate) fn level(&self, block: usize, w: f32) -> f32 {
        nearest_within(self.inverse[block] * (w - self.offset[block]), 0, self.highest)
    }
}

/// Sums over a block of weight * q, weight * q^2 and weight * q * x.
#[derive(Clone, Copy)]
struct Sums {
    q: Lane,
    q2: Lane,
    qx: Lane,
}

impl Affine {
    /// Fits blocks of N with the weights of their entries.
    #[inline(always)]
    pub(crate) fn fit<const N: usize>(&self, x: &[Lane; N], weights: &[Lane; N]) -> AffineFit {
        let (mut low, mut high) = (x[0], x[0]);
        let mut sum_w = weights[0];
        let mut sum_x = each(|l| weights[0][l] * x[0][l]);
        for (x, w) in x.iter().zip(weights).skip(1) {
            low = each(|l| if x[l] < low[l] { x[l] } else { low[l] });
            high = each(|l| if x[l] > high[l] { x[l] } else { high[l] });
            sum_w = each(|l| sum_w[l] + w[l]);
            sum_x = each(|l| sum_x[l] + w[l] * x[l]);
        }
        let mut low = each(|l| if low[l] > 0.0 { 0.0 } else { low[l] });
        let flat: [bool; LANES] = std::array::from_fn(|l| high[l] <= low[l]);

        let mut inverse = each(|l| self.highest as f32 / (high[l] - low[l]));
        let mut offset = low;
        let mut scale = each(|l| 1.0 / inverse[l]);
        let mut q = [[0.0; LANES]; N];
        let mut best = {
            self.round(x, weights, &inverse, &low, &mut q);
            self.error(x, weights, &q, &scale, &low)
        };
        for k in 0..=self.steps {
            let reach = self.first + self.step * f32::from(k) + self.highest as f32;
            let tried = each(|l| reach / (high[l] - low[l]));
            let Sums { q: sum_q, q2: sum_q2, qx: sum_qx } = self.round(x, weights, &tried, &low, &mut q);
            let determinant = each(|l| sum_w[l] * sum_q2[l] - sum_q[l] * sum_q[l]);
            let slope = each(|l| (sum_w[l] * sum_qx[l] - sum_x[l] * sum_q[l]) / determinant[l]);
            let start = each(|l| (sum_q2[l] * sum_x[l] - sum_q[l] * sum_qx[l]) / determinant[l]);
            let slope = each(|l| if start[l] > 0.0 { sum_qx[l] / sum_q2[l] } else { slope[l] });
            let start = each(|l| if start[l] > 0.0 { 0.0 } else { start[l] });
            let error = self.error(x, weights, &q, &slope, &start);
            let better: [bool; LANES] = std::array::from_fn(|l| determinant[l] > 0.0 && error[l] < best[l]);
            let keep = |new: &Lane, old: &Lane| each(|l| if better[l] { new[l] } else { old[l] });
            best = keep(&error, &best);
            inverse = keep(&tried, &inverse);
            offset = keep(&low, &offset);
            scale = keep(&slope, &scale);
            // The next scales are tried from the minimum found so far.
            low = keep(&start, &low);
        }
        AffineFit {
            scale: each(|l| if flat[l] { 0.0 } else { scale[l] }),
            minimum: each(|l| -low[l]),
            inverse: each(|l| if flat[l] { 0.0 } else { inverse[l] }),
            offset,
            highest: self.highest,
        }
    }

    /// Rounds to the levels of a scale and adds up what fits the scale to them.
    #[inline(always)]
    fn round<const N: usize>(
        &self,
        x: &[Lane; N],
        weights: &[Lane; N],
        inverse: &Lane,
        low: &Lane,
        q: &mut [Lane; N],
    ) -> Sums {
        let mut sums = Sums { q: [0.0; LANES], q2: [0.0; LANES], qx: [0.0; LANES] };
        for (q, (x, w)) in q.iter_mut().zip(x.iter().zip(weights)) {
            *q = each(|l| nearest_within(inverse[l] * (x[l] - low[l]), 0, self.highest));
            let wq = each(|l| w[l] * q[l]);
            sums.q = each(|l| sums.q[l] + wq[l]);
            sums.q2 = each(|l| sums.q2[l] + wq[l] * q[l]);
            sums.qx = each(|l| sums.qx[l] + wq[l] * x[l]);
        }
        sums
    }

    #[inline(always)]
    fn error<const N: usize>(
        &self,
        x: &[Lane; N],
        weights: &[Lane; N],
        q: &[Lane; N],
        scale: &Lane,
        start: &Lane,
    ) -> Lane {
        let mut error = [0.0; LANES];
        for (q, (x, w)) in q.iter().zip(x.iter().zip(weights)) {
            let off = each(|l| scale[l] * q[l] + start[l] - x[l]);
            let size = each(|l| if self.absolute { off[l].abs() } else { off[l] * off[l] });
            error = each(|l| error[l] + w[l] * size[l]);
        }
        error
    }
}
