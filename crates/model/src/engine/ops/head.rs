//! Logits that are computed and consumed tile by tile, and never written out.

use std::cell::RefCell;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::tanh;
use crate::engine::Rows;

/// Rows of the head, and how logits come of their products: `softcap * tanh(scale * (W h + b) / softcap)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadRows<'a> {
    /// Rows of W, `[m, D]` row-major.
    pub(crate) weights: &'a [f32],
    /// `[m]`.
    pub(crate) bias: Option<&'a [f32]>,
    /// 1 where there is none.
    pub(crate) scale: f32,
    /// Soft cap of the logits.
    pub(crate) softcap: Option<f32>,
}

/// Tokens in a block, at most: so many share the packing of weights.
const BLOCK: usize = 512;

/// Logits of a block at a time: two panels of faer's AVX-512 kernel; with the panels they stay in a core's second cache.
const TILE: usize = 192;

thread_local! {
    /// Logits of one block and tile, `[BLOCK, TILE]`.
    static LOGITS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Hands each token's logits to `see`, a run of the vocabulary after the other: the token's state, the run's first entry
/// (counted from the first row of the weights) and the run. x `[T, D]`, one state per token.
pub(super) fn for_logits<S: Send>(
    x: Rows<'_>,
    head: HeadRows<'_>,
    states: &mut [S],
    see: impl Fn(&mut S, usize, &[f32]) + Sync,
) {
    let (tokens, inputs) = (x.len(), x.cols());
    if tokens == 0 || inputs == 0 || head.weights.is_empty() {
        return;
    }
    // Two blocks and more per thread, so that none waits long for the last; whole groups of the kernel's rows.
    let share = tokens.div_ceil(2 * rayon::current_num_threads()).clamp(64, BLOCK).next_multiple_of(4);
    states[..tokens].par_chunks_mut(share).enumerate().with_max_len(1).for_each(|(block, states)| {
        block_logits(x.slice(block * share, states.len()), head, states, &see);
    });
}

/// One block, on this thread.
pub(super) fn block_logits<S>(
    x: Rows<'_>,
    head: HeadRows<'_>,
    states: &mut [S],
    mut see: impl FnMut(&mut S, usize, &[f32]),
) {
    let inputs = x.cols();
    // A product with a vector takes another path through faer, with other roundings.
    let twice = if x.len() == 1 { [x.row(0), x.row(0)].concat() } else { Vec::new() };
    let x = if x.len() == 1 { Rows::dense(&twice, inputs) } else { x };
    let tokens = x.len();
    let x = MatRef::from_row_major_slice_with_stride(x.values(), tokens, inputs, x.stride());
    LOGITS.with_borrow_mut(|logits| {
        for (tile, weights) in head.weights.chunks(TILE * inputs).enumerate() {
            let (first, width) = (tile * TILE, weights.len() / inputs);
            logits.resize(tokens * width, 0.0);
            let w = MatRef::from_row_major_slice(weights, width, inputs);
            let out = MatMut::from_row_major_slice_mut(logits, tokens, width);
            matmul(out, Accum::Replace, x, w.transpose(), 1.0_f32, Par::Seq);
            let bias = head.bias.map(|bias| &bias[first..first + width]);
            for (state, row) in states.iter_mut().zip(logits.chunks_exact_mut(width)) {
                finish(row, bias, head.scale, head.softcap);
                see(state, first, row);
            }
        }
    });
}

/// From products to logits, in place.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
pub(super) fn finish(row: &mut [f32], bias: Option<&[f32]>, scale: f32, softcap: Option<f32>) {
    if let Some(bias) = bias {
        for (x, b) in row.iter_mut().zip(bias) {
            *x += b;
        }
    }
    if scale != 1.0 {
        for x in row.iter_mut() {
            *x *= scale;
        }
    }
    if let Some(cap) = softcap {
        for x in row.iter_mut() {
            *x = cap * tanh(*x / cap);
        }
    }
}
