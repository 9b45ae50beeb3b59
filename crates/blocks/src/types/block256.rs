//! What types with super-blocks of 256 share: sub-blocks of 16 or 32 whose scales are themselves quantized.
//!
//! Letters: d the scale of scales, m the scale of minimums. Sub-blocks lie side by side in lanes, so that sixteen of
//! them, of one super-block or of two, are searched at once.

use crate::lanes::{LANES, Lane, each, nearest, nearest_within, side_by_side, sum, sum_of_squares, weighted};
use crate::search::{Affine, AffineFit, sub_scales};

/// Weights of a super-block.
pub(super) const N: usize = 256;

/// `out[i] = scale * q(i) - minimum` over one sub-block. Adding the minimum of a type without one would turn -0 into 0.
#[inline(always)]
pub(super) fn affine(out: &mut [f32], scale: f32, minimum: f32, q: impl Fn(usize) -> u8) {
    for (i, y) in out.iter_mut().enumerate() {
        *y = scale * f32::from(q(i)) - minimum;
    }
}

/// `out[i] = scale * q(i)` over one sub-block.
#[inline(always)]
pub(super) fn linear(out: &mut [f32], scale: f32, q: impl Fn(usize) -> i8) {
    for (i, y) in out.iter_mut().enumerate() {
        *y = scale * f32::from(q(i));
    }
}

/// A scale as it is stored.
#[derive(Clone, Copy, Default)]
pub(super) struct Half {
    pub(super) bytes: [u8; 2],
    /// What the bytes stand for.
    pub(super) value: f32,
}

impl Half {
    #[inline(always)]
    pub(super) fn nearest(x: f32) -> Self {
        let half = half::f16::from_f32(x);
        Self { bytes: half.to_le_bytes(), value: half.to_f32() }
    }
}

/// The variance that goes into the weights of each lane: of its super-block, times `factor`. Super-blocks that are
/// not there have 0.
#[inline(always)]
pub(super) fn variances(row: &[f32], factor: f32, sub_blocks: usize) -> Lane {
    let mut lane = [0.0; LANES];
    for (block, lane) in row.chunks_exact(N).zip(lane.chunks_exact_mut(sub_blocks)) {
        lane.fill(factor * sum_of_squares(block) / N as f32);
    }
    lane
}

/// Rounds every weight to the scale its sub-block got, `0..=highest` after adding `reach`; `searched` gives the codes of
/// sub-blocks whose scale is 0, where any would do.
#[inline(always)]
pub(super) fn requantize<const W: usize>(
    x: &[Lane; W],
    scale: &Lane,
    minimum: &Lane,
    (low, high): (i32, i32),
    searched: impl Fn(usize, usize, f32) -> f32,
) -> [Lane; W] {
    let mut codes = x.map(|x| each(|l| nearest_within((x[l] + minimum[l]) / scale[l], low, high) - low as f32));
    for l in (0..LANES).filter(|l| scale[*l] == 0.0) {
        for (i, code) in codes.iter_mut().enumerate() {
            code[l] = searched(i, l, x[i][l]);
        }
    }
    codes
}

/// How a type with scales and minimums is searched.
pub(super) struct AffineSuperBlock {
    /// Search without importances.
    pub(super) plain: Affine,
    /// Search with importances.
    pub(super) weighted: Affine,
    /// Largest code of a sub-block's scale or minimum.
    pub(super) highest_scale: u8,
    /// Weights without importances are |w|, with the root mean square of the sub-block added or without.
    pub(super) adds_rms: bool,
    /// With importances, this times the super-block's mean square goes into the weights.
    pub(super) variance_factor: f32,
}

/// Scales or minimums of the `S` sub-blocks of a super-block: the scale of scales, and a code each.
#[derive(Clone, Copy)]
pub(super) struct Shared<const S: usize> {
    pub(super) scale: Half,
    pub(super) codes: [u8; S],
}

/// What lanes hold: the super-block of sixteen sub-blocks, or the two of eight.
type SuperBlocks<T> = [T; 2];

/// A super-block of `S` sub-blocks of `W` weights, ready to be written.
pub(super) struct AffineBlock<'a, const W: usize, const S: usize> {
    pub(super) scales: Shared<S>,
    pub(super) minimums: Shared<S>,
    codes: &'a [Lane; W],
    /// Lane of the first sub-block.
    first: usize,
}

impl<const W: usize, const S: usize> AffineBlock<'_, W, S> {
    /// Code of weight `i` of a sub-block.
    #[inline(always)]
    pub(super) fn code(&self, sub_block: usize, i: usize) -> u8 {
        self.codes[i][self.first + sub_block] as u8
    }
}

impl AffineSuperBlock {
    /// Encodes a row; `write` gets one super-block after the other.
    #[inline(always)]
    pub(super) fn encode<const W: usize, const S: usize, const B: usize>(
        &self,
        row: &[f32],
        importance: Option<&[f32]>,
        out: &mut [u8],
        write: impl Fn(&mut [u8; B], &AffineBlock<'_, W, S>),
    ) {
        let out = out.as_chunks_mut::<B>().0;
        for (group, (row, out)) in row.chunks(LANES * W).zip(out.chunks_mut(LANES / S)).enumerate() {
            let x = side_by_side::<W>(row);
            let (fit, scales, minimums) = match importance {
                None => {
                    let fit = self.plain.fit(&x, &self.plain_weights(&x));
                    let (scales, minimums) = (self.cover::<S>(&fit.scale), self.cover::<S>(&fit.minimum));
                    (fit, scales, minimums)
                }
                Some(importance) => {
                    let importance = side_by_side::<W>(&importance[group * LANES * W..][..row.len()]);
                    let weights = weighted(&x, &importance, &variances(row, self.variance_factor, S));
                    let fit = self.weighted.fit(&x, &weights);
                    let (scales, minimums) = self.search::<S>(&fit, &sum(&weights));
                    (fit, scales, minimums)
                }
            };
            let value = |shared: &SuperBlocks<Shared<S>>| {
                each(|l| shared[l / S].scale.value * f32::from(shared[l / S].codes[l % S]))
            };
            let levels = (0, self.plain.highest);
            let codes = requantize(&x, &value(&scales), &value(&minimums), levels, |_, l, w| fit.level(l, w));
            for (k, out) in out.iter_mut().enumerate() {
                write(out, &AffineBlock { scales: scales[k], minimums: minimums[k], codes: &codes, first: k * S });
            }
        }
    }

    #[inline(always)]
    fn plain_weights<const W: usize>(&self, x: &[Lane; W]) -> [Lane; W] {
        let rms = if self.adds_rms {
            let squares = sum(&x.map(|x| each(|l| x[l] * x[l])));
            each(|l| (squares[l] / W as f32).sqrt())
        } else {
            [0.0; LANES]
        };
        x.map(|x| each(|l| rms[l] + x[l].abs()))
    }

    /// The scale that just covers the largest part, and the codes it gives.
    #[inline(always)]
    fn cover<const S: usize>(&self, parts: &Lane) -> SuperBlocks<Shared<S>> {
        let highest = f32::from(self.highest_scale);
        super_blocks(|k| {
            let parts: [f32; S] = std::array::from_fn(|s| parts[k * S + s]);
            let largest = parts.iter().fold(0.0, |largest: f32, part| if *part > largest { *part } else { largest });
            let inverse = if largest > 0.0 { highest / largest } else { 0.0 };
            let code = |part: f32| (nearest(inverse * part) as u8).min(self.highest_scale);
            Shared { scale: Half::nearest(largest / highest), codes: parts.map(code) }
        })
    }

    /// Scales and minimums by a search, weighted by the sub-blocks' weights.
    #[inline(always)]
    fn search<const S: usize>(
        &self,
        fit: &AffineFit,
        weight: &Lane,
    ) -> (SuperBlocks<Shared<S>>, SuperBlocks<Shared<S>>) {
        // Four searches side by side: scales of up to two super-blocks, then their minimums.
        let spread = |of: &dyn Fn(usize, usize) -> f32| -> [Lane; S] {
            std::array::from_fn(|s| each(|l| if l < 4 && l % 2 * S + s < LANES { of(l, l % 2 * S + s) } else { 0.0 }))
        };
        let parts = spread(&|l, at| if l < 2 { fit.scale[at] } else { fit.minimum[at] });
        let weights = spread(&|_, at| weight[at]);
        let (scale, codes) = sub_scales(i32::from(self.highest_scale), &parts, &weights);
        let shared = |first: usize| {
            super_blocks(|k| Shared {
                scale: Half::nearest(scale[first + k]),
                codes: std::array::from_fn(|s| (codes[s][first + k] as u8).min(self.highest_scale)),
            })
        };
        (shared(0), shared(2))
    }
}

/// One per super-block that the lanes have room for; the second is a copy where they have not.
#[inline(always)]
fn super_blocks<const S: usize>(of: impl Fn(usize) -> Shared<S>) -> SuperBlocks<Shared<S>> {
    let first = of(0);
    [first, if 2 * S <= LANES { of(1) } else { first }]
}

/// Eight six-bit scales and eight six-bit minimums in 12 bytes: 4 + 4 whole ones whose top bits complete the last 4 + 4.
#[inline(always)]
pub(super) fn pack_scales_and_minimums(scales: &[u8; 8], minimums: &[u8; 8]) -> [u8; 12] {
    std::array::from_fn(|at| match at {
        0..4 => scales[at] | scales[at + 4] >> 4 << 6,
        4..8 => minimums[at - 4] | minimums[at] >> 4 << 6,
        _ => scales[at - 4] & 15 | minimums[at - 4] << 4,
    })
}

/// The inverse of [`pack_scales_and_minimums`], of one sub-block.
#[inline(always)]
pub(super) fn scale_and_minimum(packed: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        (packed[sub] & 63, packed[sub + 4] & 63)
    } else {
        let low = packed[sub + 4];
        (low & 15 | packed[sub - 4] >> 2 & 0x30, low >> 4 | packed[sub] >> 2 & 0x30)
    }
}

/// Two-bit codes of 256 weights in 64 bytes: eight sub-blocks of 16 share 32 bytes.
#[inline(always)]
pub(super) fn pack_two_bits(code: impl Fn(usize, usize) -> u8) -> [u8; 64] {
    std::array::from_fn(|at| {
        let (half, sub, i) = (at / 32 * 8, at % 32 / 16, at % 16);
        (0..4).fold(0, |byte, k| byte | (code(half + 2 * k + sub, i) & 3) << (2 * k))
    })
}
