//! # What it is
//! 4 bits that choose one of 16 unevenly spaced levels, blocks of 32, one f16 scale. What `iq4_xs` falls back to.
//!
//! # Algorithm
//! Per block a search over 16 scales for `w ~ d level`, each fitted by least squares weighted by w^2 or, with importances, by
//! `importance * sqrt(2 mean of the block's w^2 + w^2)`; then every weight goes to the nearest level times d.
//!
//! # Bits per weight
//! 4.5: 4 per weight and an f16 per block.
//!
//! # Source
//! ggml `quantize_iq4_nl`; layout in `ggml-common.h`.

use super::block32::{N, blocks, half_at, half_bytes, nibbles, pack_nibbles};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};
use crate::lanes::{LANES, each, side_by_side, sum_of_squares, weighted};
use crate::search::{IQ4_LEVELS, fit_to_levels, nearest_level_index};

pub(crate) struct Iq4Nl;

impl Codec for Iq4Nl {
    const ELEMENTS: usize = N;
    const BYTES: usize = 18;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        let groups = row.chunks(LANES * N).zip(out.as_chunks_mut::<18>().0.chunks_mut(LANES));
        for (group, (row, out)) in groups.enumerate() {
            let x = side_by_side::<N>(row);
            let weights = match importance {
                None => x.map(|x| each(|l| x[l] * x[l])),
                Some(importance) => {
                    let blocks = row.as_chunks::<N>().0;
                    let variance = each(|l| blocks.get(l).map_or(0.0, |b| sum_of_squares(b) * (2.0 / N as f32)));
                    weighted(&x, &side_by_side(&importance[group * LANES * N..][..row.len()]), &variance)
                }
            };
            let scale = fit_to_levels(&x, &weights);
            let inverse = each(|l| if scale[l] != 0.0 { 1.0 / scale[l] } else { 0.0 });
            let codes = x.map(|x| each(|l| nearest_level_index(inverse[l] * x[l])));
            for (l, out) in out.iter_mut().enumerate() {
                out[..2].copy_from_slice(&half_bytes(scale[l]));
                out[2..].copy_from_slice(&pack_nibbles(&codes.map(|code| code[l] as u8)));
            }
        }
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 18], y: &mut [f32; N]| {
            let [d0, d1, packed @ ..] = block;
            let d = half_at([*d0, *d1]);
            let q = nibbles(packed);
            *y = std::array::from_fn(|i| d * IQ4_LEVELS[usize::from(q[i] & 15)]);
        });
    }
}
