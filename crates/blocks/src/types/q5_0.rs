//! # What it is
//! 5 bits, blocks of 32, one f16 scale, no zero point. What `q4_k` falls back to.
//!
//! # Algorithm
//! As `q4_0` with 32 levels: `d = m / -16`, `q = min(31, trunc(w * (1 / d) + 16.5))`, `w' = (q - 16) * f16(d)`; with importances
//! the same search.
//!
//! # Bits per weight
//! 5.5: 5 per weight and an f16 per block.
//!
//! # Source
//! ggml `quantize_q5_0`; layout in `ggml-common.h`.

use super::block32::{
    N, blocks, encode_symmetric, fifth_bits, half_at, half_bytes, nibbles, pack_nibbles, with_fifth_bit,
};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};

pub(crate) struct Q5_0;

impl Codec for Q5_0 {
    const ELEMENTS: usize = N;
    const BYTES: usize = 22;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        encode_symmetric(16, row, importance, out, |block: &mut [u8; 22], d, codes| {
            block[..2].copy_from_slice(&half_bytes(d));
            block[2..6].copy_from_slice(&fifth_bits(codes).to_le_bytes());
            block[6..].copy_from_slice(&pack_nibbles(codes));
        });
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 22], y: &mut [f32; N]| {
            let [d0, d1, h0, h1, h2, h3, packed @ ..] = block;
            let d = half_at([*d0, *d1]);
            let q = with_fifth_bit(nibbles(packed), u32::from_le_bytes([*h0, *h1, *h2, *h3]));
            *y = std::array::from_fn(|i| d * f32::from(q[i] as i8 - 16));
        });
    }
}
