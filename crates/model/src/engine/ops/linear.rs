//! Matrix products with the weights of cells.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::engine::Rows;

/// `out = x W^T + b`: x `[T, n]`, W `[m, n]` row-major, out `[T, m]`.
pub(crate) fn linear(x: Rows<'_>, weights: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let (tokens, inputs) = (x.len(), x.cols());
    if tokens == 0 || inputs == 0 {
        return;
    }
    let outputs = weights.len() / inputs;
    let x = MatRef::from_row_major_slice_with_stride(x.values(), tokens, inputs, x.stride());
    let w = MatRef::from_row_major_slice(weights, outputs, inputs);
    let y = MatMut::from_row_major_slice_mut(&mut *out, tokens, outputs);
    matmul(y, Accum::Replace, x, w.transpose(), 1.0_f32, Par::rayon(0));
    if let Some(bias) = bias {
        out.par_chunks_mut(outputs).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
    }
}

/// `out += x`.
pub(crate) fn add(out: &mut [f32], x: &[f32]) {
    out.par_chunks_mut(RUN).zip(x.par_chunks(RUN)).for_each(|(out, x)| {
        for (out, x) in out.iter_mut().zip(x) {
            *out += x;
        }
    });
}

/// `x *= factor`; nothing when it is 1.
pub(crate) fn scale(x: &mut [f32], factor: f32) {
    if factor != 1.0 {
        x.par_chunks_mut(RUN).for_each(|run| run.iter_mut().for_each(|x| *x *= factor));
    }
}

/// Clamps to `-limit..=limit`.
pub(crate) fn clamp(x: &mut [f32], limit: f32) {
    x.par_chunks_mut(RUN).for_each(|run| run.iter_mut().for_each(|x| *x = x.clamp(-limit, limit)));
}

/// Entries that one task sweeps: enough to outweigh handing it out.
const RUN: usize = 1 << 14;

/// `x = cap * tanh(x / cap)`.
pub(crate) fn softcap(x: &mut [f32], cap: f32) {
    x.par_chunks_mut(RUN).for_each(|run| run.iter_mut().for_each(|x| *x = cap * (*x / cap).tanh()));
}
