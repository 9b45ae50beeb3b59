//! # What it is
//! 8 bits, blocks of 32, one f16 scale. Close to lossless; what `q6_k` falls back to.
//!
//! # Algorithm
//! Per block: `d = max|w| / 127`, `q = round(w * (1 / d))` with ties away from zero, `w' = q * f16(d)`. It has no use for importances.
//!
//! # Bits per weight
//! 8.5: 8 per weight and an f16 per block.
//!
//! # Source
//! ggml `quantize_q8_0`; layout in `ggml-common.h`.

use super::block32::{N, blocks, half_at, half_bytes};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};

pub(crate) struct Q8_0;

impl Codec for Q8_0 {
    const ELEMENTS: usize = N;
    const BYTES: usize = 34;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
        for (block, out) in row.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<34>().0) {
            let largest = block.iter().fold(0.0, |largest: f32, w| if w.abs() > largest { w.abs() } else { largest });
            let d = largest / 127.0;
            let inverse = if d != 0.0 { 1.0 / d } else { 0.0 };
            let [d0, d1, q @ ..] = out;
            [*d0, *d1] = half_bytes(d);
            *q = std::array::from_fn(|i| round_ties_away(block[i] * inverse) as u8);
        }
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 34], y: &mut [f32; N]| {
            let [d0, d1, q @ ..] = block;
            let d = half_at([*d0, *d1]);
            *y = std::array::from_fn(|i| d * f32::from(q[i] as i8));
        });
    }
}

/// Nearest integer; 0 for what no `i32` can hold, as x86 processors convert it.
#[inline(always)]
fn round_ties_away(x: f32) -> i32 {
    let magnitude = if x.abs() < 256.0 { x.abs() } else { 0.0 };
    let whole = magnitude as i32;
    let rounded = whole + i32::from(magnitude - whole as f32 >= 0.5);
    if x < 0.0 { -rounded } else { rounded }
}
