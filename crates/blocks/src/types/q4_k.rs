//! # What it is
//! 4 bits, super-blocks of 256 with 8 sub-blocks of 32; each has a 6-bit scale and a 6-bit minimum. The usual choice.
//!
//! # Algorithm
//! Per sub-block a search over 21 scales for `w ~ s q - m`, weighted by `sqrt(mean w^2) + |w|`, by squared error; scales and minimums are
//! stored as multiples of 1/63 of the largest, and weights rounded once more to what is stored. With importances: 37 scales,
//! weights `importance * sqrt(2 mean w^2 + w^2)` with the super-block's mean, and a search for the scale of scales too.
//!
//! # Bits per weight
//! 4.5: 4 per weight, 12 per sub-block of 32, two f16 per 256.
//!
//! # Source
//! ggml `quantize_q4_K`; layout in `ggml-common.h`.

use super::block32::{blocks, half_at};
use super::block256::{AffineBlock, AffineSuperBlock, N, affine, pack_scales_and_minimums, scale_and_minimum};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};
use crate::search::Affine;

pub(crate) struct Q4K;

const SEARCH: AffineSuperBlock = AffineSuperBlock {
    plain: Affine { highest: 15, first: -1.0, step: 0.1, steps: 20, absolute: false },
    weighted: Affine { highest: 15, first: -0.9, step: 0.05, steps: 36, absolute: false },
    highest_scale: 63,
    adds_rms: true,
    variance_factor: 2.0,
};

impl Codec for Q4K {
    const ELEMENTS: usize = N;
    const BYTES: usize = 144;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT), (2, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        SEARCH.encode(row, importance, out, |out: &mut [u8; 144], block: &AffineBlock<'_, 32, 8>| {
            out[..2].copy_from_slice(&block.scales.scale.bytes);
            out[2..4].copy_from_slice(&block.minimums.scale.bytes);
            out[4..16].copy_from_slice(&pack_scales_and_minimums(&block.scales.codes, &block.minimums.codes));
            for (pair, out) in out[16..].as_chunks_mut::<32>().0.iter_mut().enumerate() {
                *out = std::array::from_fn(|i| block.code(2 * pair, i) | block.code(2 * pair + 1, i) << 4);
            }
        });
    }

    /// d, m, 12 bytes of scales and minimums, 128 bytes of four-bit elements.
    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 144], y: &mut [f32; N]| {
            let (d, m) = (half_at([block[0], block[1]]), half_at([block[2], block[3]]));
            let (scales, qs) = (&block[4..16], &block[16..]);
            for (sub, y) in y.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                let (scale, minimum) = scale_and_minimum(scales, sub);
                let packed: &[u8] = &qs[sub / 2 * 32..][..32];
                let shift = sub % 2 * 4;
                affine(y, d * f32::from(scale), m * f32::from(minimum), |i| packed[i] >> shift & 15);
            }
        });
    }
}
