//! Types against llama.cpp's bytes and gguf's values, on odd input, and for every instruction set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod fixture;
mod laws;
mod odd_input;
mod reference;
mod registry;

use tomo_blocks::{BlockError, BlockType};

/// The bytes of a row.
fn encoded(block: &BlockType, row: &[f32], importance: Option<&[f32]>) -> Result<Vec<u8>, BlockError> {
    let mut out = vec![0xa5; block.row_bytes(row.len())?];
    block.encode_row(row, importance, &mut out).map(|()| out)
}

/// The row that bytes stand for.
fn decoded(block: &BlockType, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![f32::INFINITY; bytes.len() / block.bytes * block.elements];
    block.decode_row(bytes, &mut out).unwrap();
    out
}
