//! Formats against other people's quantizers, against published errors, on odd input, and for every instruction set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod agreement;
mod distributions;
mod odd_input;
mod reference;
mod registry;
mod stored;

use tomo_quant::{Format, Matrix};

/// What a format makes of a matrix.
fn rounded(format: &Format, values: &[f32], cols: usize, group: usize) -> Vec<f32> {
    let mut out = vec![f32::INFINITY; values.len()];
    format.roundtrip(&Matrix::new(values, cols, group).unwrap(), &mut out).unwrap();
    out
}

/// `cols`, or for formats that are stored in whole blocks the next number of columns that fits.
fn fitting(format: &Format, cols: usize) -> usize {
    cols.next_multiple_of(format.stored().map_or(1, |block| block.elements))
}
