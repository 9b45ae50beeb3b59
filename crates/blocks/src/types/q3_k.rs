//! # What it is
//! 3 bits, super-blocks of 256 with 16 sub-blocks; each has a signed 6-bit scale, no minimum.
//!
//! # Algorithm
//! Per sub-block `w ~ s q` with q in -4..4: from the scale that covers it, weights move one by one to the level that suits the
//! others best, weighted by w^2; scales are stored as multiples of -1/32 of the largest, and weights rounded once more to what
//! is stored. With importances: 19 scales tried, weights `importance * sqrt(2 mean w^2 + w^2)`, and a search for the
//! scale of scales too.
//!
//! # Bits per weight
//! 3.4375: 3 per weight, 6 per sub-block of 16, an f16 per 256.
//!
//! # Source
//! ggml `quantize_q3_K`; layout in `ggml-common.h`.

use super::block32::{blocks, half_at};
use super::block256::{Half, N, linear, pack_two_bits, requantize, variances};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};
use crate::lanes::{LANES, Lane, each, nearest, side_by_side, sum, weighted};
use crate::search::{refine, symmetric};

pub(crate) struct Q3K;

impl Codec for Q3K {
    const ELEMENTS: usize = N;
    const BYTES: usize = 110;
    const FLOATS: &'static [(usize, u16)] = &[(108, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        for (k, (row, out)) in row.chunks_exact(N).zip(out.as_chunks_mut::<110>().0).enumerate() {
            let x = side_by_side::<16>(row);
            match importance {
                None => {
                    let fit = refine(4, &x);
                    let (d, scales) = cover(&fit.scale);
                    write(out, &x, d, &scales, |i, sub, _| fit.codes[i][sub]);
                }
                Some(importance) => {
                    let weights = weighted(&x, &side_by_side(&importance[k * N..][..N]), &variances(row, 2.0, LANES));
                    let fit = symmetric(4, &x, &weights);
                    let (d, scales) = search(&fit.scale, &sum(&weights));
                    write(out, &x, d, &scales, |_, sub, w| fit.code(sub, w));
                }
            }
        }
    }

    /// 32 bytes of third bits, 64 bytes of two low bits, 12 bytes of six-bit scales, d.
    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 110], y: &mut [f32; N]| {
            let (high, qs, scales) = (&block[..32], &block[32..96], &block[96..108]);
            let d = half_at([block[108], block[109]]);
            for (sub, y) in y.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let low4 = scales[sub % 8] >> (sub / 8 * 4) & 15;
                let high2 = scales[8 + sub % 4] >> (sub / 4 * 2) & 3;
                let scale = f32::from((low4 | high2 << 4) as i8 - 32);
                let packed: &[u8] = &qs[sub / 8 * 32 + sub % 2 * 16..][..16];
                let third: &[u8] = &high[sub % 2 * 16..][..16];
                let (shift, bit) = (sub % 8 / 2 * 2, sub / 2);
                // The bit that is absent takes 4 away.
                linear(y, d * scale, |i| (packed[i] >> shift & 3 | (third[i] >> bit & 1) << 2) as i8 - 4);
            }
        });
    }
}

/// The scale that puts the largest sub-block's on -32, and the codes, `0..64`, that it gives.
#[inline(always)]
fn cover(scales: &Lane) -> (f32, [u8; 16]) {
    let mut largest: f32 = 0.0;
    for scale in scales {
        if scale.abs() > largest.abs() {
            largest = *scale;
        }
    }
    if largest == 0.0 {
        return (0.0, [0; 16]);
    }
    let inverse = -32.0 / largest;
    (1.0 / inverse, scales.map(|scale| ((nearest(inverse * scale) as i8).clamp(-32, 31) + 32) as u8))
}

/// As [`cover`], by a search weighted by the sub-blocks' weights.
#[inline(always)]
fn search(scales: &Lane, weights: &Lane) -> (f32, [u8; 16]) {
    // One search for what lies in sixteen lanes: turned, it is in the first.
    let turned = |lane: &Lane| lane.map(|value| each(|l| if l == 0 { value } else { 0.0 }));
    let fit = symmetric(32, &turned(scales), &turned(weights));
    (fit.scale[0], scales.map(|scale| fit.code(0, scale) as u8))
}

#[inline(always)]
fn write(out: &mut [u8; 110], x: &[Lane; 16], d: f32, scales: &[u8; 16], searched: impl Fn(usize, usize, f32) -> f32) {
    let d = Half::nearest(d);
    let scale = each(|sub| d.value * f32::from(scales[sub] as i8 - 32));
    let codes = requantize(x, &scale, &[0.0; LANES], (-4, 3), searched);
    let code = |sub: usize, i: usize| codes[i][sub] as u8;
    for (at, byte) in out[..32].iter_mut().enumerate() {
        *byte = (0..8).fold(0, |byte, bit| byte | (code(2 * bit + at / 16, at % 16) >> 2) << bit);
    }
    out[32..96].copy_from_slice(&pack_two_bits(code));
    for (at, byte) in out[96..104].iter_mut().enumerate() {
        *byte = scales[at] & 15 | scales[at + 8] << 4;
    }
    for (at, byte) in out[104..108].iter_mut().enumerate() {
        *byte = (0..4).fold(0, |byte, k| byte | (scales[at + 4 * k] >> 4) << (2 * k));
    }
    out[108..].copy_from_slice(&d.bytes);
}
