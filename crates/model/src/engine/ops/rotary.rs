//! Rotary position embedding, half-split pairs.

use multiversion::multiversion;
use rayon::prelude::*;

use super::Columns;
use crate::architecture::Rope;

/// Cosines and sines of every position of a sequence.
pub(crate) struct RotaryTable {
    /// Rotated dims of each head.
    dims: usize,
    /// `[T, dims / 2]`.
    cos: Vec<f32>,
    /// `[T, dims / 2]`.
    sin: Vec<f32>,
}

impl RotaryTable {
    /// The table for a sequence of `length` tokens.
    pub(crate) fn new(rope: &Rope, length: usize) -> Self {
        let (frequencies, factor) = rope.for_length(length);
        Self::from_frequencies(rope.dims, &frequencies, factor, length)
    }

    /// The table for angles per position, with a multiplier of cosine and sine.
    pub(crate) fn from_frequencies(dims: usize, frequencies: &[f32], factor: f32, length: usize) -> Self {
        let angles = (0..length).flat_map(|t| {
            // The reference multiplies in f32, so that at large positions its angle is this one and no other.
            frequencies.iter().map(move |f| f64::from(t as f32 * f))
        });
        let (cos, sin) = angles.map(|a| (a.cos() as f32 * factor, a.sin() as f32 * factor)).unzip();
        Self { dims, cos, sin }
    }
}

/// Rotates the heads of one sequence in place; row t has position t.
pub(crate) fn rotate(values: &mut [f32], columns: Columns, table: &RotaryTable) {
    let half = table.dims / 2;
    if half == 0 {
        return;
    }
    let angles = table.cos.par_chunks(half).zip(table.sin.par_chunks(half));
    values.par_chunks_mut(columns.stride).zip(angles).with_min_len(16).for_each(|(row, (cos, sin))| {
        rotate_row(&mut row[columns.range()], columns.width, cos, sin);
    });
}

/// From the gradient of what [`rotate`] put out to that of what it took in, in place.
pub(crate) fn rotate_back(g: &mut [f32], columns: Columns, table: &RotaryTable) {
    let half = table.dims / 2;
    if half == 0 {
        return;
    }
    let angles = table.cos.par_chunks(half).zip(table.sin.par_chunks(half));
    g.par_chunks_mut(columns.stride).zip(angles).with_min_len(16).for_each(|(row, (cos, sin))| {
        rotate_row_back(&mut row[columns.range()], columns.width, cos, sin);
    });
}

/// Rotates the heads of one token, `width` values each.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn rotate_row(heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    for head in heads.chunks_exact_mut(width) {
        let (first, second) = head[..2 * half].split_at_mut(half);
        for (((a, b), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
        }
    }
}

/// The transpose of [`rotate_row`].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn rotate_row_back(heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    for head in heads.chunks_exact_mut(width) {
        let (first, second) = head[..2 * half].split_at_mut(half);
        for (((a, b), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            (*a, *b) = (*a * c + *b * s, *b * c - *a * s);
        }
    }
}
