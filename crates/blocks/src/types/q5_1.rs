//! # What it is
//! 5 bits, blocks of 32, an f16 scale and an f16 minimum. What `q5_k` falls back to.
//!
//! # Algorithm
//! As `q4_1` with 32 levels: `d = (max w - m) / 31`, `q = trunc((w - m) * (1 / d) + 0.5)`, `w' = q * f16(d) + f16(m)`; with
//! importances the same search.
//!
//! # Bits per weight
//! 6: 5 per weight and two f16 per block.
//!
//! # Source
//! ggml `quantize_q5_1`; layout in `ggml-common.h`.

use super::block32::{
    N, blocks, encode_affine, fifth_bits, half_at, half_bytes, nibbles, pack_nibbles, with_fifth_bit,
};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};

pub(crate) struct Q5_1;

impl Codec for Q5_1 {
    const ELEMENTS: usize = N;
    const BYTES: usize = 24;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT), (2, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        encode_affine(31, row, importance, out, |block: &mut [u8; 24], d, m, codes| {
            block[..2].copy_from_slice(&half_bytes(d));
            block[2..4].copy_from_slice(&half_bytes(m));
            block[4..8].copy_from_slice(&fifth_bits(codes).to_le_bytes());
            block[8..].copy_from_slice(&pack_nibbles(codes));
        });
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 24], y: &mut [f32; N]| {
            let [d0, d1, m0, m1, h0, h1, h2, h3, packed @ ..] = block;
            let (d, m) = (half_at([*d0, *d1]), half_at([*m0, *m1]));
            let q = with_fifth_bit(nibbles(packed), u32::from_le_bytes([*h0, *h1, *h2, *h3]));
            *y = std::array::from_fn(|i| d * f32::from(q[i]) + m);
        });
    }
}
