//! # What it is
//! Half precision: 10 bits of mantissa, from 6e-8 to 65504. llama.cpp's last resort for rows that fit no block.
//!
//! # Algorithm
//! Nearest, ties to even. A weight beyond 65504 is refused.
//!
//! # Bits per weight
//! 16.
//!
//! # Source
//! IEEE 754 binary16, by the `half` crate.

use half::slice::HalfFloatSliceExt;

use crate::block_type::{Codec, F16_EXPONENT};

pub(crate) struct F16;

impl Codec for F16 {
    const ELEMENTS: usize = 1;
    const BYTES: usize = 2;
    const FLOATS: &'static [(usize, u16)] = &[(0, F16_EXPONENT)];
    const LARGEST: f32 = f32::MAX;

    #[inline(always)]
    fn encode(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
        let mut halves = [half::f16::ZERO; CHUNK];
        for (row, out) in row.chunks(CHUNK).zip(out.chunks_mut(2 * CHUNK)) {
            let halves = &mut halves[..row.len()];
            halves.convert_from_f32_slice(row);
            for (h, bytes) in halves.iter().zip(out.as_chunks_mut().0) {
                *bytes = h.to_le_bytes();
            }
        }
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        let mut halves = [half::f16::ZERO; CHUNK];
        for (input, output) in bytes.chunks(2 * CHUNK).zip(out.chunks_mut(CHUNK)) {
            let halves = &mut halves[..output.len()];
            for (x, h) in input.as_chunks().0.iter().zip(halves.iter_mut()) {
                *h = half::f16::from_le_bytes(*x);
            }
            halves.convert_to_f32_slice(output);
        }
    }
}

/// Numbers go through a small buffer, because the bytes of a mapped file are not aligned; `half` then uses the processor's own
/// conversion.
const CHUNK: usize = 1024;
