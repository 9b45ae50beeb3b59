//! # What it is
//! MXFP4 of the OCP Microscaling specification: FP4 E2M1 elements (0, 0.5, 1, 1.5, 2, 3, 4, 6), blocks of 32, a power
//! of two as the scale. The format of gpt-oss and of current accelerators.
//!
//! # Algorithm
//! Per block of 32 along a row: `X = 2^(floor(log2 max|w|) - 2)`, kept within the E8M0 range from 2^-127;
//! `w' = X * e2m1(w / X)` with ties to even, and what exceeds 6 becomes 6. Scaling by a power of two is exact. An
//! infinity in a block makes the scale NaN, as the specification allows.
//!
//! # Bits per weight
//! 4.25: 4 per weight and 8 per block.
//!
//! # Source
//! OCP Microscaling Formats (MX) v1.0, section 6.3 (conversion by the floor of the exponent); as torchao 0.18
//! `to_mx(..., FLOOR)`. The gguf package 0.19 takes the same scale but breaks ties towards zero.

use crate::engine::{Codec, Cut};
use crate::float::round_to_e2m1;
use crate::lanes::abs_max;

#[derive(Clone, Copy)]
pub(super) struct MxFp4;

/// Exponent field of 2^-127 + 127 + the two binades that E2M1 reaches above 1: the smallest that needs no clamping.
const LOWEST_FIELD: u32 = 3;

impl Codec for MxFp4 {
    type Scale = (f32, f32);
    const CUT: Cut = Cut::By32;

    /// X and 1 / X.
    #[inline(always)]
    fn scale(&self, block: &[f32], _amax: f32) -> (f32, f32) {
        let field = abs_max(block).to_bits() >> 23;
        if field < LOWEST_FIELD {
            // 2^-127 is subnormal in f32.
            (f32::from_bits(0x0040_0000), f32::from_bits(254 << 23))
        } else if field == 255 {
            (f32::NAN, f32::NAN)
        } else {
            (f32::from_bits((field - 2) << 23), f32::from_bits((256 - field) << 23))
        }
    }

    #[inline(always)]
    fn round(&self, (scale, inverse): (f32, f32), w: f32) -> f32 {
        round_to_e2m1(w * inverse) * scale
    }

    fn stored_bits(&self) -> (u32, u32) {
        (4, 8)
    }
}
