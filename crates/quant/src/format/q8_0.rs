//! # What it is
//! ggml's `Q8_0`: 8 bits, blocks of 32, one f16 scale. Close to lossless; the usual choice for what must not suffer.
//!
//! # Algorithm
//! Per block of 32 along a row: `d = max|w| / 127`, `q = round(w * (1 / d))` with ties away from zero (C's `roundf`),
//! `w' = q * f16(d)`. All in f32; quantization uses the scale before, reconstruction after its rounding to f16. A
//! scale that underflows f16 makes a block of zeros, one that overflows makes NaN, as the format would. Rows whose
//! length 32 does not divide are no Q8_0 in llama.cpp; here they end in a short block.
//!
//! # Bits per weight
//! 8.5: 8 per weight and an f16 per block.
//!
//! # Source
//! ggml `quantize_row_q8_0_ref`; arithmetic as the gguf Python package 0.19.

use half::f16;

use crate::engine::{Codec, Cut};
use crate::float::round_ties_away;
use crate::lanes::abs_max;

#[derive(Clone, Copy)]
pub(super) struct Q8_0;

impl Codec for Q8_0 {
    type Scale = (f32, f32);
    const CUT: Cut = Cut::By32;

    #[inline(always)]
    fn scale(&self, block: &[f32], _amax: f32) -> (f32, f32) {
        let exact = abs_max(block) / 127.0;
        let scale = f16::from_f32(exact).to_f32();
        (scale, if scale == 0.0 { 0.0 } else { 1.0 / exact })
    }

    #[inline(always)]
    fn round(&self, (scale, inverse): (f32, f32), w: f32) -> f32 {
        round_ties_away(w * inverse) * scale
    }

    fn stored_bits(&self) -> (u32, u32) {
        (8, 16)
    }
}
