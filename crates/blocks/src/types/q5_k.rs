//! # What it is
//! 5 bits, super-blocks of 256 with 8 sub-blocks of 32; each has a 6-bit scale and a 6-bit minimum.
//!
//! # Algorithm
//! As `q4_k` with 32 levels and, without importances, 16 scales tried.
//!
//! # Bits per weight
//! 5.5: 5 per weight, 12 per sub-block of 32, two f16 per 256.
//!
//! # Source
//! ggml `quantize_q5_K`; layout in `ggml-common.h`.

use super::block32::{blocks, half_at};
use super::block256::{AffineBlock, AffineSuperBlock, N, affine, pack_scales_and_minimums, scale_and_minimum};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};
use crate::search::Affine;

pub(crate) struct Q5K;

const SEARCH: AffineSuperBlock = AffineSuperBlock {
    plain: Affine { highest: 31, first: -0.5, step: 0.1, steps: 15, absolute: false },
    weighted: Affine { highest: 31, first: -0.9, step: 0.05, steps: 36, absolute: false },
    highest_scale: 63,
    adds_rms: true,
    variance_factor: 2.0,
};

impl Codec for Q5K {
    const ELEMENTS: usize = N;
    const BYTES: usize = 176;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT), (2, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        SEARCH.encode(row, importance, out, |out: &mut [u8; 176], block: &AffineBlock<'_, 32, 8>| {
            out[..2].copy_from_slice(&block.scales.scale.bytes);
            out[2..4].copy_from_slice(&block.minimums.scale.bytes);
            out[4..16].copy_from_slice(&pack_scales_and_minimums(&block.scales.codes, &block.minimums.codes));
            for (i, byte) in out[16..48].iter_mut().enumerate() {
                *byte = (0..8).fold(0, |byte, sub| byte | (block.code(sub, i) >> 4) << sub);
            }
            for (pair, out) in out[48..].as_chunks_mut::<32>().0.iter_mut().enumerate() {
                *out = std::array::from_fn(|i| block.code(2 * pair, i) & 15 | block.code(2 * pair + 1, i) << 4);
            }
        });
    }

    /// d, m, 12 bytes of scales and minimums, 32 bytes of fifth bits, 128 bytes of four low bits.
    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 176], y: &mut [f32; N]| {
            let (d, m) = (half_at([block[0], block[1]]), half_at([block[2], block[3]]));
            let (scales, high, qs) = (&block[4..16], &block[16..48], &block[48..]);
            for (sub, y) in y.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                let (scale, minimum) = scale_and_minimum(scales, sub);
                let packed: &[u8] = &qs[sub / 2 * 32..][..32];
                let shift = sub % 2 * 4;
                let q = |i: usize| packed[i] >> shift & 15 | (high[i] >> sub & 1) << 4;
                affine(y, d * f32::from(scale), m * f32::from(minimum), q);
            }
        });
    }
}
