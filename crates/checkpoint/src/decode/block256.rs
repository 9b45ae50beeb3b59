//! GGUF super-blocks of 256 elements: sub-blocks of 16 or 32 whose scales are themselves quantized.
//!
//! Layouts: `ggml-common.h` of the ggml repository. Letters: d the scale of scales, m the scale of minimums.

use super::block32::IQ4_LEVELS;
use super::{blocks, half_at};

const N: usize = 256;

/// `out[i] = scale * q(i) - minimum` over one sub-block. Adding the minimum of a type without one would turn -0 into 0.
#[inline(always)]
fn affine(out: &mut [f32], scale: f32, minimum: f32, q: impl Fn(usize) -> u8) {
    for (i, y) in out.iter_mut().enumerate() {
        *y = scale * f32::from(q(i)) - minimum;
    }
}

/// `out[i] = scale * q(i)` over one sub-block.
#[inline(always)]
fn linear(out: &mut [f32], scale: f32, q: impl Fn(usize) -> i8) {
    for (i, y) in out.iter_mut().enumerate() {
        *y = scale * f32::from(q(i));
    }
}

/// 16 bytes of scales (low half) and minimums (high half), 64 bytes of two-bit elements, d, m.
pub(super) fn q2_k(bytes: &[u8], out: &mut [f32]) {
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

/// 32 bytes of third bits, 64 bytes of two low bits, 12 bytes of six-bit scales, d.
pub(super) fn q3_k(bytes: &[u8], out: &mut [f32]) {
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

/// Eight six-bit scales and eight six-bit minimums in 12 bytes: 4 + 4 whole ones whose top bits complete the last 4 + 4.
#[inline(always)]
fn scale_and_minimum(packed: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        (packed[sub] & 63, packed[sub + 4] & 63)
    } else {
        let low = packed[sub + 4];
        (low & 15 | packed[sub - 4] >> 2 & 0x30, low >> 4 | packed[sub] >> 2 & 0x30)
    }
}

/// d, m, 12 bytes of scales and minimums, 128 bytes of four-bit elements.
pub(super) fn q4_k(bytes: &[u8], out: &mut [f32]) {
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

/// d, m, 12 bytes of scales and minimums, 32 bytes of fifth bits, 128 bytes of four low bits.
pub(super) fn q5_k(bytes: &[u8], out: &mut [f32]) {
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

/// 128 bytes of four low bits, 64 bytes of two high bits, 16 signed scales, d.
pub(super) fn q6_k(bytes: &[u8], out: &mut [f32]) {
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

/// d, 16 + 32 bits of six-bit scales, 128 bytes of four-bit levels.
pub(super) fn iq4_xs(bytes: &[u8], out: &mut [f32]) {
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
