//! # What it is
//! Single precision, as it is.
//!
//! # Algorithm
//! None.
//!
//! # Bits per weight
//! 32.
//!
//! # Source
//! IEEE 754 binary32.

use crate::block_type::Codec;

pub(crate) struct F32;

impl Codec for F32 {
    const ELEMENTS: usize = 1;
    const BYTES: usize = 4;
    const FLOATS: &'static [(usize, u16)] = &[];
    const LARGEST: f32 = f32::MAX;

    #[inline(always)]
    fn encode(row: &[f32], _importance: Option<&[f32]>, out: &mut [u8]) {
        for (w, bytes) in row.iter().zip(out.as_chunks_mut().0) {
            *bytes = w.to_le_bytes();
        }
    }

    fn decode(bytes: &[u8], out: &mut [f32]) {
        for (x, y) in bytes.as_chunks().0.iter().zip(out) {
            *y = f32::from_le_bytes(*x);
        }
    }
}
