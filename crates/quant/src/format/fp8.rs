//! # What it is
//! FP8 E4M3 with one scale for the matrix: 4 exponent bits, 3 mantissa bits, largest number 448, no infinities.
//!
//! # Algorithm
//! `s = max|W| / 448`, `w' = s * e4m3(w / s)`, rounded to nearest with ties to even, subnormals kept. All in f32, true
//! division. A matrix of zeros stays zeros; an infinity makes the matrix NaN.
//!
//! # Bits per weight
//! 8. The matrix's own scale is not counted.
//!
//! # Source
//! Micikevicius et al. 2022 (arXiv 2209.05433); rounding as `torch.float8_e4m3fn`.

use crate::engine::{Codec, Cut};
use crate::float::{divisor, round_to_e4m3};

#[derive(Clone, Copy)]
pub(super) struct Fp8;

impl Codec for Fp8 {
    type Scale = (f32, f32);
    const CUT: Cut = Cut::Row;
    const NEEDS_AMAX: bool = true;

    #[inline(always)]
    fn scale(&self, _block: &[f32], amax: f32) -> (f32, f32) {
        let scale = amax / 448.0;
        (scale, divisor(scale))
    }

    #[inline(always)]
    fn round(&self, (scale, divisor): (f32, f32), w: f32) -> f32 {
        round_to_e4m3(w / divisor) * scale
    }

    fn stored_bits(&self) -> (u32, u32) {
        (8, 0)
    }
}
