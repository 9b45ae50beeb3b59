//! Causal attention of one sequence, tile by tile: no matrix of all scores, and none of those behind the mask.
//!
//! A tile is a run of queries of all the heads that share a key head, stacked, so that their keys are packed once. It meets
//! its keys in blocks; the softmax runs along with a maximum and a sum per query (Milakov and Gimelshein 2018; Dao et al.
//! 2022). Blocks are counted from the first key that the tile sees, so that what a token gets does not depend on how many
//! tokens follow.

mod backward;

use std::cell::RefCell;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::{LANES, exp, largest, tanh};
use crate::engine::Rows;

pub(crate) use backward::attention_backward;

/// The shape and switches of attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    /// H.
    pub(crate) heads: usize,
    /// K; divides H.
    pub(crate) kv_heads: usize,
    /// C.
    pub(crate) head_dim: usize,
    /// Multiplier of `q . k`.
    pub(crate) scale: f32,
    /// `cap * tanh(score / cap)`.
    pub(crate) softcap: Option<f32>,
    /// A token sees itself and the `window - 1` before it.
    pub(crate) window: Option<usize>,
}

/// Keys in a block. Scores of a tile and a block stay in a core's second cache; a whole number of [`LANES`].
const BLOCK: usize = 512;

/// Queries of all heads of a group in a tile, at most, where a group has no more heads.
const TILE: usize = 96;

/// Tokens in a tile, at most: of the scores of the last keys half are behind the mask.
const TILE_TOKENS: usize = 32;

/// `out = softmax(scale q k^T + causal mask) v` for one sequence: q `[T, H*C]`, k and v `[T, K*C]`, out `[T, H*C]` dense.
///
/// A NaN among the queries, keys or values that a token sees makes its output NaN; one among later values may too.
pub(crate) fn attention(shape: Heads, q: Rows<'_>, k: Rows<'_>, v: Rows<'_>, out: &mut [f32]) {
    let (tokens, width) = (q.len(), shape.heads * shape.head_dim);
    if tokens == 0 || width == 0 {
        return;
    }
    let out = MatMut::from_row_major_slice_mut(out, tokens, width);
    tiles(shape, out).into_par_iter().with_max_len(1).for_each(|tile| {
        SCRATCH.with_borrow_mut(|scratch| scratch.attend(shape, q, k, v, tile));
    });
}

/// Part of the output: a run of tokens of the heads that share a key head, `[tokens, group * C]`.
struct Tile<'a> {
    tokens: Range<usize>,
    kv_head: usize,
    out: MatMut<'a, f32>,
}

/// Cuts the output.
fn tiles(shape: Heads, mut out: MatMut<'_, f32>) -> Vec<Tile<'_>> {
    let group = shape.heads / shape.kv_heads;
    let height = (TILE / group).clamp(16, TILE_TOKENS);
    let mut tiles = Vec::with_capacity(out.nrows().div_ceil(height) * shape.kv_heads);
    for kv_head in 0..shape.kv_heads {
        let (mut column, rest) = out.split_at_col_mut(group * shape.head_dim);
        let mut first = 0;
        while column.nrows() > 0 {
            let count = height.min(column.nrows());
            let (out, below) = column.split_at_row_mut(count);
            tiles.push(Tile { tokens: first..first + count, kv_head, out });
            (first, column) = (first + count, below);
        }
        out = rest;
    }
    tiles
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// What a thread needs for one tile of R stacked queries; kept for the next.
struct Scratch {
    /// `[R, C]`.
    queries: Vec<f32>,
    /// `[R, BLOCK]`.
    scores: Vec<f32>,
    /// Not yet divided by the sums, `[R, C]`.
    out: Vec<f32>,
    /// `[R]`.
    running: Vec<Running>,
}

/// The softmax of a query so far.
#[derive(Clone, Copy)]
struct Running {
    max: f32,
    /// Sum of `exp(score - max)`.
    sum: f64,
}

impl Scratch {
    const fn new() -> Self {
        Self { queries: Vec::new(), scores: Vec::new(), out: Vec::new(), running: Vec::new() }
    }

    fn attend(&mut self, shape: Heads, q: Rows<'_>, k: Rows<'_>, v: Rows<'_>, tile: Tile<'_>) {
        let Heads { heads, kv_heads, head_dim, .. } = shape;
        let (group, count) = (heads / kv_heads, tile.tokens.len());
        // Two at least: a product with a vector takes another path through faer, with other roundings.
        let stacked = (group * count).max(2);
        self.queries.clear();
        for head in tile.kv_head * group..(tile.kv_head + 1) * group {
            for t in tile.tokens.clone() {
                self.queries.extend_from_slice(&q.row(t)[head * head_dim..][..head_dim]);
            }
        }
        self.queries.resize(stacked * head_dim, 0.0);
        self.running.clear();
        self.running.resize(stacked, Running { max: f32::NEG_INFINITY, sum: 0.0 });
        self.out.resize(stacked * head_dim, 0.0);
        self.scores.resize(stacked * BLOCK, 0.0);

        let sees = |t: usize| shape.window.map_or(0, |w| (t + 1).saturating_sub(w))..t + 1;
        let first = sees(tile.tokens.start).start;
        for start in (first..tile.tokens.end).step_by(BLOCK) {
            let end = tile.tokens.end.min(start + BLOCK);
            // A block of one key would take the path of vectors as well: it takes the key before along, without weight.
            let keys = start.min(end.saturating_sub(2))..end;
            self.score(shape, head_of(k, tile.kv_head, head_dim, &keys), keys.len());
            for (row, scores) in self.scores.chunks_exact_mut(BLOCK).take(group * count).enumerate() {
                let seen = sees(tile.tokens.start + row % count);
                let [from, to] = [seen.start, seen.end].map(|at| at.clamp(start, end) - keys.start);
                let factor = soften(scores, from..to, shape.softcap, &mut self.running[row]);
                if factor != 1.0 && start != first {
                    self.out[row * head_dim..][..head_dim].iter_mut().for_each(|x| *x *= factor);
                }
            }
            let accumulate = if start == first { Accum::Replace } else { Accum::Add };
            let weights = MatRef::from_row_major_slice_with_stride(&self.scores, stacked, keys.len(), BLOCK);
            let out = MatMut::from_row_major_slice_mut(&mut self.out, stacked, head_dim);
            matmul(out, accumulate, weights, head_of(v, tile.kv_head, head_dim, &keys), 1.0, Par::Seq);
        }
        self.hand_out(head_dim, tile);
    }

    /// Scores of the stacked queries with a block of keys.
    fn score(&mut self, shape: Heads, keys: MatRef<'_, f32>, count: usize) {
        let stacked = self.running.len();
        let queries = MatRef::from_row_major_slice(&self.queries, stacked, shape.head_dim);
        // Transposed columns: faer 0.24's `from_row_major_slice_with_stride_mut` mixes its strides up.
        let scores = MatMut::from_column_major_slice_with_stride_mut(&mut self.scores, count, stacked, BLOCK);
        let scores = scores.transpose_mut();
        matmul(scores, Accum::Replace, queries, keys.transpose(), shape.scale, Par::Seq);
    }

    /// Divides by the sums and takes the heads apart.
    fn hand_out(&self, head_dim: usize, tile: Tile<'_>) {
        let count = tile.tokens.len();
        for (t, out) in tile.out.row_iter_mut().filter_map(|row| row.try_as_row_major_mut()).enumerate() {
            for (head, out) in out.as_slice_mut().chunks_exact_mut(head_dim).enumerate() {
                let row = head * count + t;
                let factor = (1.0 / self.running[row].sum) as f32;
                for (out, x) in out.iter_mut().zip(&self.out[row * head_dim..]) {
                    *out = x * factor;
                }
            }
        }
    }
}

/// Rows `tokens` of one head, `[tokens, C]`.
fn head_of<'a>(rows: Rows<'a>, head: usize, head_dim: usize, tokens: &Range<usize>) -> MatRef<'a, f32> {
    let values = &rows.values()[tokens.start * rows.stride() + head * head_dim..];
    MatRef::from_row_major_slice_with_stride(values, tokens.len(), head_dim, rows.stride())
}

/// Turns the scores of a query with the keys `seen` into `exp(score - max)`, all others into 0. Returns by what earlier
/// results are to be multiplied, since the maximum may have grown.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn soften(scores: &mut [f32], seen: Range<usize>, softcap: Option<f32>, running: &mut Running) -> f32 {
    if seen.is_empty() {
        scores.fill(0.0);
        return 1.0;
    }
    // Whole vectors: what they hold beyond `seen` has no weight.
    let whole = seen.start / LANES * LANES..seen.end.next_multiple_of(LANES);
    scores[..whole.start].fill(0.0);
    scores[whole.end..].fill(0.0);
    if let Some(cap) = softcap {
        for score in &mut scores[whole.clone()] {
            *score = cap * tanh(*score / cap);
        }
    }
    scores[whole.start..seen.start].fill(f32::NEG_INFINITY);
    scores[seen.end..whole.end].fill(f32::NEG_INFINITY);
    let (chunks, _) = scores[whole].as_chunks_mut::<LANES>();
    let top = largest(chunks.as_flattened());
    let max = if top > running.max { top } else { running.max };
    let factor = if max > running.max { exp(running.max - max) } else { 1.0 };
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            chunk[i] = exp(chunk[i] - max);
            lanes[i] += chunk[i];
        }
    }
    let sum: f64 = lanes.iter().map(|x| f64::from(*x)).sum();
    *running = Running { max, sum: running.sum * f64::from(factor) + sum };
    factor
}
