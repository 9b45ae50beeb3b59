//! # What it is
//! NVIDIA's NVFP4: FP4 E2M1 elements (0, 0.5, 1, 1.5, 2, 3, 4, 6), blocks of 16 with an FP8 E4M3 scale, and one f32
//! scale for the matrix.
//!
//! # Algorithm
//! For the matrix: `g = max|W| / (6 * 448)`. Per block of 16 along a row: `s = e4m3(clamp(max|w| / (6 g), 2^-9, 448))`,
//! `w' = (s g) * e2m1(w / (s g))`, both roundings with ties to even, and what exceeds 6 becomes 6. All in f32. A
//! matrix of zeros stays zeros; an infinity makes the matrix NaN.
//!
//! # Bits per weight
//! 4.5: 4 per weight and 8 per block. The matrix's own scale is not counted.
//!
//! # Source
//! NVIDIA ModelOpt 0.47 `NVFP4QTensor` (its clamp of the block scale included). torchao 0.18 multiplies by a
//! reciprocal and keeps the block scale above 2^-6, which moves single weights by one level.

use crate::engine::{Codec, Cut};
use crate::float::{clamp, divisor, round_to_e2m1, round_to_e4m3};
use crate::lanes::abs_max;

#[derive(Clone, Copy)]
pub(super) struct NvFp4;

/// The smallest number of E4M3 above 0.
const SMALLEST_E4M3: f32 = 1.0 / 512.0;

impl Codec for NvFp4 {
    type Scale = (f32, f32);
    const CUT: Cut = Cut::By16;
    const NEEDS_AMAX: bool = true;

    #[inline(always)]
    fn scale(&self, block: &[f32], amax: f32) -> (f32, f32) {
        let global = amax / (6.0 * 448.0);
        // The hint keeps compilers from working on sixteen blocks of sixteen at once, which takes gathers.
        let block_scale = std::hint::black_box(abs_max(block)) / divisor(6.0 * global);
        let scale = round_to_e4m3(clamp(block_scale, SMALLEST_E4M3, 448.0)) * global;
        (scale, divisor(scale))
    }

    #[inline(always)]
    fn round(&self, (scale, divisor): (f32, f32), w: f32) -> f32 {
        round_to_e2m1(w / divisor) * scale
    }

    fn stored_bits(&self) -> (u32, u32) {
        (4, 8)
    }
}
