//! # What it is
//! ggml's `Q4_0`: 4 bits, blocks of 32, one f16 scale, no zero point. The block's largest weight is always exact but
//! for the scale's rounding, since the scale takes its sign.
//!
//! # Algorithm
//! Per block of 32 along a row: `m` = the weight with the largest |w|, the first one of equals; `d = m / -8`;
//! `q = min(15, trunc(w * (1 / d) + 8.5))`; `w' = (q - 8) * f16(d)`. All in f32; the product and the sum are two
//! roundings. Quantization uses the scale before, reconstruction after its rounding to f16 (to nearest, ties to even).
//! A scale that underflows f16 makes a block of zeros, one that overflows makes NaN, as the format would.
//! Compilers may fuse product and sum in ggml itself, which moves a weight by one level in rare ties. Rows whose
//! length 32 does not divide are no Q4_0 in llama.cpp; here they end in a short block.
//!
//! # Bits per weight
//! 4.5: 4 per weight and an f16 per block.
//!
//! # Source
//! ggml `quantize_row_q4_0_ref`; arithmetic as the gguf Python package 0.19.

use half::f16;

use crate::engine::{Codec, Cut};
use crate::float::floor;
use crate::lanes::range_with_zero;

#[derive(Clone, Copy)]
pub(super) struct Q4_0;

impl Codec for Q4_0 {
    type Scale = (f32, f32);
    const CUT: Cut = Cut::By32;

    #[inline(always)]
    fn scale(&self, block: &[f32], _amax: f32) -> (f32, f32) {
        let exact = signed_abs_max(block) / -8.0;
        let scale = f16::from_f32(exact).to_f32();
        (scale, if scale == 0.0 { 0.0 } else { 1.0 / exact })
    }

    #[inline(always)]
    fn round(&self, (scale, inverse): (f32, f32), w: f32) -> f32 {
        let q = floor(w * inverse + 8.5);
        let q = if q > 15.0 { 15.0 } else { q };
        (q - 8.0) * scale
    }

    fn stored_bits(&self) -> (u32, u32) {
        (4, 16)
    }
}

/// The weight with the largest |w|, the first one of equals; 0 for a block of zeros.
#[inline(always)]
fn signed_abs_max(block: &[f32]) -> f32 {
    let (low, high) = range_with_zero(block);
    if high > -low {
        high
    } else if -low > high {
        low
    } else {
        block.iter().copied().find(|w| w.abs() == high).unwrap_or(high)
    }
}
