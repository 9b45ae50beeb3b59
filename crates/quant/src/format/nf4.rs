//! # What it is
//! NormalFloat 4: sixteen levels at quantiles of a normal distribution, with the largest |w| of 64 weights as the
//! scale. The format of QLoRA.
//!
//! # Algorithm
//! Per block of 64 along a row: `a = max|w|`, `x = clamp(w * (1 / max(a, 1e-38)), -1, 1)`, `w' = a * level(x)`, where
//! `level` is the nearest of the sixteen and a tie goes to the lower one. All in f32; reciprocal and product are two
//! roundings, as in bitsandbytes. Blocks are cut along each row; bitsandbytes cuts the flattened matrix, which is the
//! same when 64 divides the number of columns.
//!
//! # Bits per weight
//! 4.5: 4 per weight and an f32 scale per block. (Double quantization of the scales, 4.127, is not simulated.)
//!
//! # Source
//! Dettmers et al. 2023 (arXiv 2305.14314); table and arithmetic as bitsandbytes 0.50 (`quantize_4bit`, default
//! backend).

use crate::engine::{Codec, Cut};
use crate::float::clamp;
use crate::lanes::{abs_max, max};

#[derive(Clone, Copy)]
pub(super) struct Nf4;

#[allow(clippy::excessive_precision, reason = "the published table, digit for digit")]
const LEVELS: [f32; 16] = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
];

/// Half-way points between neighbours; a value above the k-th has level k + 1 at least.
const BOUNDS: [f32; 15] = {
    let mut bounds = [0.0; 15];
    let mut k = 0;
    while k < 15 {
        bounds[k] = (LEVELS[k] + LEVELS[k + 1]) / 2.0;
        k += 1;
    }
    bounds
};

impl Codec for Nf4 {
    type Scale = (f32, f32);
    const CUT: Cut = Cut::By64;

    #[inline(always)]
    fn scale(&self, block: &[f32], _amax: f32) -> (f32, f32) {
        let absmax = abs_max(block);
        (absmax, 1.0 / max(1e-38, absmax))
    }

    #[expect(clippy::eq_op, reason = "x - x is how NaN survives without a branch")]
    #[inline(always)]
    fn round(&self, (absmax, inverse): (f32, f32), w: f32) -> f32 {
        let x = clamp(w * inverse, -1.0, 1.0);
        let mut level = LEVELS[0];
        for k in 0..15 {
            level = if x > BOUNDS[k] { LEVELS[k + 1] } else { level };
        }
        // x - x is 0, or NaN when x is: comparisons with NaN would have made it a level.
        (level + (x - x)) * absmax
    }

    fn stored_bits(&self) -> (u32, u32) {
        (4, 32)
    }
}
