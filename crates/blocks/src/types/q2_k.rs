//! # What it is
//! 2 bits, super-blocks of 256 with 16 sub-blocks; each has a 4-bit scale and a 4-bit minimum.
//!
//! # Algorithm
//! Per sub-block a search over 16 scales for `w ~ s q - m`, weighted by |w|, by absolute error; scales and minimums are stored as
//! multiples of 1/15 of the largest, and weights rounded once more to what is stored. With importances: 37 scales, weights
//! `importance * sqrt(mean w^2 + w^2)`, squared error, and a search for the scale of scales too.
//!
//! # Bits per weight
//! 2.625: 2 per weight, 8 per sub-block of 16, two f16 per 256.
//!
//! # Source
//! ggml `quantize_q2_K`; layout in `ggml-common.h`.

use super::block32::{blocks, half_at};
use super::block256::{AffineBlock, AffineSuperBlock, N, affine, pack_two_bits};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};
use crate::search::Affine;

pub(crate) struct Q2K;

const SEARCH: AffineSuperBlock = AffineSuperBlock {
    plain: Affine { highest: 3, first: -0.5, step: 0.1, steps: 15, absolute: true },
    weighted: Affine { highest: 3, first: -0.9, step: 0.05, steps: 36, absolute: false },
    highest_scale: 15,
    adds_rms: false,
    variance_factor: 1.0,
};

impl Codec for Q2K {
    const ELEMENTS: usize = N;
    const BYTES: usize = 84;
    const FLOATS: &'static [(usize, u16)] = &[(80, F16_EXPONENT), (82, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        SEARCH.encode(row, importance, out, |out: &mut [u8; 84], block: &AffineBlock<'_, 16, 16>| {
            for (s, byte) in out[..16].iter_mut().enumerate() {
                *byte = block.scales.codes[s] | block.minimums.codes[s] << 4;
            }
            out[16..80].copy_from_slice(&pack_two_bits(|sub, i| block.code(sub, i)));
            out[80..82].copy_from_slice(&block.scales.scale.bytes);
            out[82..].copy_from_slice(&block.minimums.scale.bytes);
        });
    }

    /// 16 bytes of scales (low half) and minimums (high half), 64 bytes of two-bit elements, d, m.
    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 84], y: &mut [f32; N]| {
            let (scales, qs) = (&block[..16], &block[16..80]);
            let (d, m) = (half_at([block[80], block[81]]), half_at([block[82], block[83]]));
            for (sub, y) in y.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let scale = scales[sub];
                // Eight sub-blocks of 16 share 32 bytes, two bits each.
                let packed: &[u8] = &qs[sub / 8 * 32 + sub % 2 * 16..][..16];
                let shift = sub % 8 / 2 * 2;
                affine(y, d * f32::from(scale & 15), m * f32::from(scale >> 4), |i| packed[i] >> shift & 3);
            }
        });
    }
}
