//! # What it is
//! 4 bits, blocks of 32, an f16 scale and an f16 minimum.
//!
//! # Algorithm
//! Per block: `m = min w`, `d = (max w - m) / 15`, `q = min(15, trunc((w - m) * (1 / d) + 0.5))`, `w' = q * f16(d) + f16(m)`.
//! With importances, m is at most 0 and 37 scales are tried with weights `importance * sqrt(mean of the row's w^2 + w^2)`, d
//! and m each fitted by least squares.
//!
//! # Bits per weight
//! 5: 4 per weight and two f16 per block.
//!
//! # Source
//! ggml `quantize_q4_1`; layout in `ggml-common.h`.

use super::block32::{N, blocks, encode_affine, half_at, half_bytes, nibbles, pack_nibbles};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};

pub(crate) struct Q4_1;

impl Codec for Q4_1 {
    const ELEMENTS: usize = N;
    const BYTES: usize = 20;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT), (2, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        encode_affine(15, row, importance, out, |block: &mut [u8; 20], d, m, codes| {
            block[..2].copy_from_slice(&half_bytes(d));
            block[2..4].copy_from_slice(&half_bytes(m));
            block[4..].copy_from_slice(&pack_nibbles(codes));
        });
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 20], y: &mut [f32; N]| {
            let [d0, d1, m0, m1, packed @ ..] = block;
            let (d, m) = (half_at([*d0, *d1]), half_at([*m0, *m1]));
            let q = nibbles(packed);
            *y = std::array::from_fn(|i| d * f32::from(q[i]) + m);
        });
    }
}
