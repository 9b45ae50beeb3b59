//! Formats against other people's quantizers, against published errors, on odd input, and for every instruction set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod agreement;
mod distributions;
mod odd_input;
mod reference;
mod registry;

use tomo_quant::{Format, Matrix};

/// What a format makes of a matrix.
fn rounded(format: &Format, values: &[f32], cols: usize, group: usize) -> Vec<f32> {
    let mut out = vec![f32::INFINITY; values.len()];
    format.roundtrip(&Matrix::new(values, cols, group).unwrap(), &mut out).unwrap();
    out
}
