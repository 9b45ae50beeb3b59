//! # What it is
//! OCP's MX format of 4-bit floats (E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives), blocks of 32 with a power of two.
//!
//! # Algorithm
//! Per block: `e = floor(log2(max|w|)) - 2`, every weight goes to the nearest number times `2^e`; one halfway goes to the number that comes
//! first in the order 0, 0.5 ... 6, then the negatives. (The simulated format of this name in `tomo-quant` follows OCP and
//! torchao, where ties go to even.) It has no use for importances.
//!
//! # Bits per weight
//! 4.25: 4 per weight and 8 per block.
//!
//! # Source
//! ggml `quantize_mxfp4`; layout in `ggml-common.h`.

use super::block32::{N, blocks, nibbles, pack_nibbles};
use crate::block_type::Codec;

pub(crate) struct MxFp4;

/// Twice the values of E2M1; the scale is halved to match.
const E2M1_DOUBLED: [f32; 16] = [0., 1., 2., 3., 4., 6., 8., 12., 0., -1., -2., -3., -4., -6., -8., -12.];

impl Codec for MxFp4 {
    const ELEMENTS: usize = N;
    const BYTES: usize = 17;
    // A scale of all ones is no number. Blocks whose largest weight is about 1e-38 get it: ggml's exponent wraps around.
    const FLOATS: &'static [(usize, u16)] = &[(0, 0x00ff)];
    const LARGEST: f32 = f32::MAX;

    #[inline(always)]
    fn encode(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
        for (block, out) in row.as_chunks::<N>().0.iter().zip(out.as_chunks_mut::<17>().0) {
            let largest = block.iter().fold(0.0, |largest: f32, w| if w.abs() > largest { w.abs() } else { largest });
            let e = exponent(largest);
            let d = half_of_e8m0(e);
            let [scale, packed @ ..] = out;
            *scale = e;
            *packed = pack_nibbles(&std::array::from_fn(|i| nearest(block[i], d)));
        }
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        blocks(bytes, out, |block: &[u8; 17], y: &mut [f32; N]| {
            let [e, packed @ ..] = block;
            let d = half_of_e8m0(*e);
            let q = nibbles(packed);
            *y = std::array::from_fn(|i| d * E2M1_DOUBLED[usize::from(q[i] & 15)]);
        });
    }
}

/// The biased exponent of a block's scale.
fn exponent(largest: f32) -> u8 {
    if largest == 0.0 {
        return 0;
    }
    // The logarithm of ggml is an f32: just below a power of two it may round up to that power's.
    let power = (f64::from(largest).log2() as f32).floor();
    (power - 2.0 + 127.0) as i32 as u8
}

/// Half of 2^(e - 127), the value of an E8M0 scale; its two smallest are subnormal.
fn half_of_e8m0(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { (u32::from(e) - 1) << 23 })
}

/// Code of the number nearest to w, the first of equals.
#[inline(always)]
fn nearest(w: f32, d: f32) -> u8 {
    let mut best = (f32::INFINITY, 0);
    for (code, value) in E2M1_DOUBLED.iter().enumerate() {
        let off = (value * d - w).abs();
        best = if off < best.0 { (off, code as u8) } else { best };
    }
    best.1
}
