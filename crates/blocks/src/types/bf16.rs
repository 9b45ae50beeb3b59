//! # What it is
//! The upper half of a single-precision number: its range with 7 bits of mantissa.
//!
//! # Algorithm
//! Nearest, ties to even. A weight that rounds beyond the largest number, 3.39e38, is refused.
//!
//! # Bits per weight
//! 16.
//!
//! # Source
//! ggml `ggml_compute_fp32_to_bf16`.

use crate::block_type::{BF16_EXPONENT, Codec};

pub(crate) struct Bf16;

impl Codec for Bf16 {
    const ELEMENTS: usize = 1;
    const BYTES: usize = 2;
    const FLOATS: &'static [(usize, u16)] = &[(0, BF16_EXPONENT)];
    const LARGEST: f32 = f32::MAX;

    #[inline(always)]
    fn encode(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
        for (w, bytes) in row.iter().zip(out.as_chunks_mut().0) {
            let bits = w.to_bits();
            // Half a unit up, a little less when the number below is even; finite numbers cannot overflow u32.
            let nearest = (bits + (0x7fff + (bits >> 16 & 1))) >> 16;
            *bytes = (nearest as u16).to_le_bytes();
        }
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        for (x, y) in bytes.as_chunks().0.iter().zip(out) {
            *y = f32::from_bits(u32::from(u16::from_le_bytes(*x)) << 16);
        }
    }
}
