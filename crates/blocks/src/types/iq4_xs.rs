//! # What it is
//! 4 bits that choose one of 16 unevenly spaced levels, super-blocks of 256 with 8 sub-blocks of 32; each has a signed 6-bit scale.
//!
//! # Algorithm
//! Per sub-block the search of `iq4_nl`, with the super-block's mean of w^2 in the weights; scales are stored as multiples of
//! -1/32 of the largest, and every weight goes to the nearest level times what is stored (before d is rounded to f16).
//!
//! # Bits per weight
//! 4.25: 4 per weight, 6 per sub-block of 32, an f16 per 256.
//!
//! # Source
//! ggml `quantize_iq4_xs`; layout in `ggml-common.h`.

use super::block32::{blocks, half_at, half_bytes, pack_nibbles};
use super::block256::{N, variances};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};
use crate::lanes::{LANES, Lane, each, nearest_within, side_by_side, weighted};
use crate::search::{IQ4_LEVELS, fit_to_levels, nearest_level_index};

pub(crate) struct Iq4Xs;

/// Weights of a sub-block.
const W: usize = 32;
/// Sub-blocks of a super-block.
const S: usize = 8;

impl Codec for Iq4Xs {
    const ELEMENTS: usize = N;
    const BYTES: usize = 136;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        let groups = row.chunks(LANES * W).zip(out.as_chunks_mut::<136>().0.chunks_mut(LANES / S));
        for (group, (row, out)) in groups.enumerate() {
            let x = side_by_side::<W>(row);
            let weights = match importance {
                None => x.map(|x| each(|l| x[l] * x[l])),
                Some(importance) => {
                    let importance = side_by_side(&importance[group * LANES * W..][..row.len()]);
                    weighted(&x, &importance, &variances(row, 2.0, S))
                }
            };
            write(out, &x, &fit_to_levels(&x, &weights));
        }
    }

    /// d, 16 + 32 bits of six-bit scales, 128 bytes of four-bit levels.
    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 136], y: &mut [f32; N]| {
            let d = half_at([block[0], block[1]]);
            let high2 = u16::from_le_bytes([block[2], block[3]]);
            let (low4, qs) = (&block[4..8], &block[8..]);
            for (sub, y) in y.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                let low = low4[sub / 2] >> (sub % 2 * 4) & 15;
                let high = (high2 >> (2 * sub) & 3) as u8;
                let scale = d * f32::from((low | high << 4) as i8 - 32);
                let packed: &[u8] = &qs[sub * 16..][..16];
                for (i, byte) in packed.iter().enumerate() {
                    y[i] = scale * IQ4_LEVELS[usize::from(byte & 15)];
                    y[i + 16] = scale * IQ4_LEVELS[usize::from(byte >> 4)];
                }
            }
        });
    }
}

/// Writes the super-blocks of a group, given the scales of their sub-blocks.
#[inline(always)]
fn write(out: &mut [[u8; 136]], x: &[Lane; W], scales: &Lane) {
    let mut largest = [0.0_f32; LANES / S];
    for (l, scale) in scales.iter().enumerate() {
        if scale.abs() > largest[l / S].abs() {
            largest[l / S] = *scale;
        }
    }
    let d = largest.map(|scale| -scale / 32.0);
    let inverse = d.map(|d| if d != 0.0 { 1.0 / d } else { 0.0 });
    let scales = each(|l| nearest_within(inverse[l / S] * scales[l], -32, 31));
    let inverse = each(|l| {
        let scale = d[l / S] * scales[l];
        if scale != 0.0 { 1.0 / scale } else { 0.0 }
    });
    let codes = x.map(|x| each(|l| nearest_level_index(inverse[l] * x[l])));
    for (k, out) in out.iter_mut().enumerate() {
        let scale: [u8; S] = std::array::from_fn(|s| (scales[k * S + s] as i8 + 32) as u8);
        out[..2].copy_from_slice(&half_bytes(d[k]));
        let high = scale.iter().enumerate().fold(0, |bits, (s, scale)| bits | u16::from(scale >> 4) << (2 * s));
        out[2..4].copy_from_slice(&high.to_le_bytes());
        for (at, byte) in out[4..8].iter_mut().enumerate() {
            *byte = scale[2 * at] & 15 | scale[2 * at + 1] << 4;
        }
        for (s, out) in out[8..].as_chunks_mut::<16>().0.iter_mut().enumerate() {
            *out = pack_nibbles(&codes.map(|code| code[k * S + s] as u8));
        }
    }
}
