//! GGUF blocks of 32 elements with one scale each (and a minimum for `_1`), and the two with tables of levels.
//!
//! Layouts: `ggml-common.h` of the ggml repository. In a byte of two elements the low one is element i, the high one i + 16.

use super::{blocks, half_at};

const N: usize = 32;

/// The low four bits of 16 bytes, then their high four bits.
#[inline(always)]
fn nibbles(packed: &[u8; 16]) -> [u8; N] {
    std::array::from_fn(|i| if i < 16 { packed[i] & 15 } else { packed[i - 16] >> 4 })
}

/// Adds bit i of `high` to element i as its fifth bit.
#[inline(always)]
fn with_fifth_bit(low: [u8; N], high: u32) -> [u8; N] {
    std::array::from_fn(|i| low[i] | ((high >> i & 1) as u8) << 4)
}

pub(super) fn q4_0(bytes: &[u8], out: &mut [f32]) {
    blocks(bytes, out, |block: &[u8; 18], y: &mut [f32; N]| {
        let [d0, d1, packed @ ..] = block;
        let d = half_at([*d0, *d1]);
        let q = nibbles(packed);
        *y = std::array::from_fn(|i| d * f32::from(q[i] as i8 - 8));
    });
}

pub(super) fn q4_1(bytes: &[u8], out: &mut [f32]) {
    blocks(bytes, out, |block: &[u8; 20], y: &mut [f32; N]| {
        let [d0, d1, m0, m1, packed @ ..] = block;
        let (d, m) = (half_at([*d0, *d1]), half_at([*m0, *m1]));
        let q = nibbles(packed);
        *y = std::array::from_fn(|i| d * f32::from(q[i]) + m);
    });
}

pub(super) fn q5_0(bytes: &[u8], out: &mut [f32]) {
    blocks(bytes, out, |block: &[u8; 22], y: &mut [f32; N]| {
        let [d0, d1, h0, h1, h2, h3, packed @ ..] = block;
        let d = half_at([*d0, *d1]);
        let q = with_fifth_bit(nibbles(packed), u32::from_le_bytes([*h0, *h1, *h2, *h3]));
        *y = std::array::from_fn(|i| d * f32::from(q[i] as i8 - 16));
    });
}

pub(super) fn q5_1(bytes: &[u8], out: &mut [f32]) {
    blocks(bytes, out, |block: &[u8; 24], y: &mut [f32; N]| {
        let [d0, d1, m0, m1, h0, h1, h2, h3, packed @ ..] = block;
        let (d, m) = (half_at([*d0, *d1]), half_at([*m0, *m1]));
        let q = with_fifth_bit(nibbles(packed), u32::from_le_bytes([*h0, *h1, *h2, *h3]));
        *y = std::array::from_fn(|i| d * f32::from(q[i]) + m);
    });
}

pub(super) fn q8_0(bytes: &[u8], out: &mut [f32]) {
    blocks(bytes, out, |block: &[u8; 34], y: &mut [f32; N]| {
        let [d0, d1, q @ ..] = block;
        let d = half_at([*d0, *d1]);
        *y = std::array::from_fn(|i| d * f32::from(q[i] as i8));
    });
}

/// Levels of `IQ4_NL` and `IQ4_XS`.
pub(super) const IQ4_LEVELS: [f32; 16] =
    [-127., -104., -83., -65., -49., -35., -22., -10., 1., 13., 25., 38., 53., 69., 89., 113.];

pub(super) fn iq4_nl(bytes: &[u8], out: &mut [f32]) {
    blocks(bytes, out, |block: &[u8; 18], y: &mut [f32; N]| {
        let [d0, d1, packed @ ..] = block;
        let d = half_at([*d0, *d1]);
        let q = nibbles(packed);
        *y = std::array::from_fn(|i| d * IQ4_LEVELS[usize::from(q[i] & 15)]);
    });
}

/// Twice the values of E2M1; the scale is halved to match.
const E2M1_DOUBLED: [f32; 16] = [0., 1., 2., 3., 4., 6., 8., 12., 0., -1., -2., -3., -4., -6., -8., -12.];

/// Half of 2^(e - 127), the value of an E8M0 scale; its two smallest are subnormal.
fn half_of_e8m0(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { (u32::from(e) - 1) << 23 })
}

pub(super) fn mxfp4(bytes: &[u8], out: &mut [f32]) {
    blocks(bytes, out, |block: &[u8; 17], y: &mut [f32; N]| {
        let [e, packed @ ..] = block;
        let d = half_of_e8m0(*e);
        let q = nibbles(packed);
        *y = std::array::from_fn(|i| d * E2M1_DOUBLED[usize::from(q[i] & 15)]);
    });
}
