//! # What it is
//! 6 bits, super-blocks of 256 with 16 sub-blocks; each has a signed 8-bit scale, no minimum. Close to lossless.
//!
//! # Algorithm
//! Per sub-block a search over 19 scales for `w ~ s q` with q in -32..32, weighted by w^2 or, with importances, by these;
//! scales are stored as multiples of -1/128 of the largest, and weights rounded once more to what is stored.
//!
//! # Bits per weight
//! 6.5625: 6 per weight, 8 per sub-block of 16, an f16 per 256.
//!
//! # Source
//! ggml `quantize_q6_K`; layout in `ggml-common.h`.

use super::block32::{blocks, half_at};
use super::block256::{Half, N, linear, requantize};
use crate::block_type::{Codec, F16_EXPONENT, LARGEST_SCALED};
use crate::lanes::{LANES, Lane, each, nearest, side_by_side};
use crate::search::{SymmetricFit, ZERO, symmetric};

pub(crate) struct Q6K;

impl Codec for Q6K {
    const ELEMENTS: usize = N;
    const BYTES: usize = 210;
    const FLOATS: &'static [(usize, u16)] = &[(208, F16_EXPONENT)];
    const LARGEST: f32 = LARGEST_SCALED;

    #[inline(always)]
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
        for (k, (row, out)) in row.chunks_exact(N).zip(out.as_chunks_mut::<210>().0).enumerate() {
            let x = side_by_side::<16>(row);
            let weights = match importance {
                None => x.map(|x| each(|l| x[l] * x[l])),
                Some(importance) => side_by_side(&importance[k * N..][..N]),
            };
            write(out, &x, &symmetric(32, &x, &weights));
        }
    }

    /// 128 bytes of four low bits, 64 bytes of two high bits, 16 signed scales, d.
    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 210], y: &mut [f32; N]| {
            let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
            let d = half_at([block[208], block[209]]);
            for (sub, y) in y.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                // Within each half of 128: low bits run over 64 bytes twice, high bits over 32 bytes four times.
                let packed: &[u8] = &low[sub / 8 * 64 + sub % 4 * 16..][..16];
                let top: &[u8] = &high[sub / 8 * 32 + sub % 2 * 16..][..16];
                let (low_shift, high_shift) = (sub % 8 / 4 * 4, sub % 8 / 2 * 2);
                let q = |i: usize| (packed[i] >> low_shift & 15 | (top[i] >> high_shift & 3) << 4) as i8 - 32;
                linear(y, d * f32::from(scales[sub] as i8), q);
            }
        });
    }
}

#[inline(always)]
fn write(out: &mut [u8; 210], x: &[Lane; 16], fit: &SymmetricFit) {
    let mut largest: f32 = 0.0;
    for scale in &fit.scale {
        if scale.abs() > largest.abs() {
            largest = *scale;
        }
    }
    if largest.abs() < ZERO {
        // Codes of 0 stand for -32 then, but so does the scale for 0.
        *out = [0; 210];
        return;
    }
    let inverse = -128.0 / largest;
    let d = Half::nearest(1.0 / inverse);
    let scales = fit.scale.map(|scale| nearest(inverse * scale).min(127) as i8);
    let scale = each(|sub| d.value * f32::from(scales[sub]));
    let codes = requantize(x, &scale, &[0.0; LANES], (-32, 31), |_, sub, w| fit.code(sub, w));
    let code = |sub: usize, i: usize| codes[i][sub] as u8;
    for (at, byte) in out[..128].iter_mut().enumerate() {
        let (sub, i) = (at / 64 * 8 + at % 64 / 16, at % 16);
        *byte = code(sub, i) & 15 | code(sub + 4, i) << 4;
    }
    for (at, byte) in out[128..192].iter_mut().enumerate() {
        let (sub, i) = (at / 32 * 8 + at % 32 / 16, at % 16);
        *byte = (0..4).fold(0, |byte, k| byte | (code(sub + 2 * k, i) >> 4) << (2 * k));
    }
    out[192..208].copy_from_slice(&scales.map(|scale| scale as u8));
    out[208..].copy_from_slice(&d.bytes);
}
