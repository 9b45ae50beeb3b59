//! # What it is
//! 4 bits, blocks of 32, one f16 scale, no zero point: fast everywhere, and what the smallest K types fall back to.
//!
//! # Algorithm
//! Per block: `m` = the weight with the largest |w|, the first one of equals; `d = m / -8`; `q = min(15, trunc(w * (1 / d) + 8.5))`;
//! `w' = (q - 8) * f16(d)`. With importances, 19 scales around `-8 / m` are tried with weights
//! `importance * sqrt(mean of the row's w^2 + w^2)`, and each is fitted by least squares.
//!
//! # Bits per weight
//! 4.5: 4 per weight and an f16 per block.
//!
//! # Source
//! ggml `quantize_q4_0`; layout in `ggml-common.h`.

use super::block32::{N, blocks, encode_symmetric, half_at, half_bytes, nibbles, pack_nibbles};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};

pub(crate) struct Q4_0;

impl Codec for Q4_0 {
    const ELEMENTS: usize = N;
    const BYTES: usize = 18;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        encode_symmetric(8, row, importance, out, |block: &mut [u8; 18], d, codes| {
            block[..2].copy_from_slice(&half_bytes(d));
            block[2..].copy_from_slice(&pack_nibbles(codes));
        });
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 18], y: &mut [f32; N]| {
            let [d0, d1, packed @ ..] = block;
            let d = half_at([*d0, *d1]);
            let q = nibbles(packed);
            *y = std::array::from_fn(|i| d * f32::from(q[i] as i8 - 8));
        });
    }
}
