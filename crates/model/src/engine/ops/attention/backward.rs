//! The gradient of attention, tile by tile as forward.
//!
//! The queries of a sequence are cut into parts of equal work. A part runs through its tiles in order: it computes the
//! probabilities of a tile once, for all objectives, and sums the gradients of the keys and values that it sees. The sums of
//! the parts are added at the end, in order: nothing depends on the number of threads.

use std::cell::RefCell;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use multiversion::multiversion;
use rayon::prelude::*;

use super::super::math::{LANES, exp, largest, tanh};
use super::{Heads, TILE, TILE_TOKENS, head_of};
use crate::engine::Rows;

/// Parts of all key heads together, at least: enough for the threads of a small machine to end at about the same time. Each part
/// has its own sums, so that more of them cost memory.
const PARTS: usize = 16;

/// The gradient of [`attention`](super::attention) for several objectives: out is what it gave, `[T, H*C]`; g = dL/dout of each
/// objective, `[T, H*C]`; d receives rows `[dq | dk | dv]` of each, `[T, (H + 2 K) * C]` dense.
pub(crate) fn attention_backward(
    shape: Heads,
    q: Rows<'_>,
    k: Rows<'_>,
    v: Rows<'_>,
    out: Rows<'_>,
    g: &[Rows<'_>],
    d: &mut [&mut [f32]],
) {
    let Heads { heads, kv_heads, head_dim, .. } = shape;
    if q.is_empty() || heads == 0 || head_dim == 0 {
        return;
    }
    let cuts = cuts(shape, q.len());
    let tasks: Vec<_> = (0..kv_heads).flat_map(|head| cuts.iter().map(move |cut| (head, cut.clone()))).collect();
    let given = Given { shape, q, k, v, out, g };
    let parts: Vec<Part> = tasks
        .into_par_iter()
        .with_max_len(1)
        .map(|(head, tokens)| SCRATCH.with_borrow_mut(|scratch| scratch.run(&given, head, tokens)))
        .collect();
    for (objective, d) in d.iter_mut().enumerate() {
        let rows = d.par_chunks_exact_mut((heads + 2 * kv_heads) * head_dim).enumerate();
        rows.with_min_len(16).for_each(|(t, row)| {
            let (queries, shared) = row.split_at_mut(heads * head_dim);
            let (keys, values) = shared.split_at_mut(kv_heads * head_dim);
            let queries = queries.chunks_exact_mut(heads / kv_heads * head_dim);
            let shared = keys.chunks_exact_mut(head_dim).zip(values.chunks_exact_mut(head_dim));
            for ((queries, (key, value)), parts) in queries.zip(shared).zip(parts.chunks_exact(cuts.len())) {
                gather(parts, objective, t, queries, key, value);
            }
        });
    }
}

/// What all parts read.
struct Given<'a> {
    shape: Heads,
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    out: Rows<'a>,
    g: &'a [Rows<'a>],
}

/// What a run of tokens of the heads that share a key head contributes.
struct Part {
    tokens: Range<usize>,
    /// The keys that it sees.
    keys: Range<usize>,
    sums: Vec<Sums>,
}

/// Of one objective.
struct Sums {
    /// `[tokens, group * C]`.
    queries: Vec<f32>,
    /// `[keys, C]`.
    keys: Vec<f32>,
    /// `[keys, C]`.
    values: Vec<f32>,
}

/// The gradients of one token and key head, out of its parts.
fn gather(parts: &[Part], objective: usize, t: usize, queries: &mut [f32], key: &mut [f32], value: &mut [f32]) {
    key.fill(0.0);
    value.fill(0.0);
    for Part { tokens, keys, sums } in parts {
        let Sums { queries: of_queries, keys: of_keys, values: of_values } = &sums[objective];
        if tokens.contains(&t) {
            queries.copy_from_slice(&of_queries[(t - tokens.start) * queries.len()..][..queries.len()]);
        }
        if keys.contains(&t) {
            let at = (t - keys.start) * key.len();
            key.iter_mut().zip(&of_keys[at..]).for_each(|(sum, x)| *sum += x);
            value.iter_mut().zip(&of_values[at..]).for_each(|(sum, x)| *sum += x);
        }
    }
}

/// Tokens in a tile.
fn height(shape: Heads) -> usize {
    (TILE / (shape.heads / shape.kv_heads)).clamp(16, TILE_TOKENS)
}

/// The first key that token `t` sees.
fn first_key(shape: Heads, t: usize) -> usize {
    shape.window.map_or(0, |window| (t + 1).saturating_sub(window))
}

/// Cuts the tokens into whole tiles with about the same number of keys in each part.
fn cuts(shape: Heads, tokens: usize) -> Vec<Range<usize>> {
    let count = PARTS.div_ceil(shape.kv_heads);
    let tiles: Vec<Range<usize>> =
        (0..tokens).step_by(height(shape)).map(|first| first..tokens.min(first + height(shape))).collect();
    let work = |tile: &Range<usize>| tile.len() * (tile.end - first_key(shape, tile.start));
    let all: usize = tiles.iter().map(work).sum();
    let (mut cuts, mut start, mut done) = (Vec::with_capacity(count), 0, 0);
    for tile in tiles {
        done += work(&tile);
        if tile.end == tokens || done * count >= all * (cuts.len() + 1) {
            cuts.push(start..tile.end);
            start = tile.end;
        }
    }
    cuts
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What a thread needs for one tile of R stacked queries with n keys; kept for the next.
#[derive(Default)]
struct Scratch {
    /// `[R, C]`.
    queries: Vec<f32>,
    /// Of the objective at hand, `[R, C]`.
    g: Vec<f32>,
    /// `[R, C]`.
    d_queries: Vec<f32>,
    /// Scores, then probabilities, `[R, n]`.
    weights: Vec<f32>,
    /// The derivative of the soft cap at each score, `[R, n]`; empty without one.
    slopes: Vec<f32>,
    /// Gradients of probabilities, then of scores, `[R, n]`.
    d_scores: Vec<f32>,
}

impl Scratch {
    fn run(&mut self, given: &Given<'_>, kv_head: usize, tokens: Range<usize>) -> Part {
        let Heads { heads, kv_heads, head_dim, .. } = given.shape;
        let keys = first_key(given.shape, tokens.start)..tokens.end;
        let fresh = |_| Sums {
            queries: vec![0.0; tokens.len() * heads / kv_heads * head_dim],
            keys: vec![0.0; keys.len() * head_dim],
            values: vec![0.0; keys.len() * head_dim],
        };
        let mut part = Part { tokens: tokens.clone(), sums: given.g.iter().map(fresh).collect(), keys };
        for first in tokens.clone().step_by(height(given.shape)) {
            let tile = first..tokens.end.min(first + height(given.shape));
            let keys = first_key(given.shape, first)..tile.end;
            self.weigh(given, kv_head, &tile, &keys);
            for objective in 0..given.g.len() {
                self.differentiate(given, kv_head, objective, &tile, &keys, &mut part);
            }
        }
        part
    }

    /// Queries and their probabilities.
    fn weigh(&mut self, given: &Given<'_>, kv_head: usize, tile: &Range<usize>, keys: &Range<usize>) {
        let Heads { head_dim, scale, softcap, .. } = given.shape;
        stack(given.shape, given.q, kv_head, tile, &mut self.queries);
        let (stacked, n) = (self.queries.len() / head_dim, keys.len());
        self.weights.resize(stacked * n, 0.0);
        self.slopes.resize(if softcap.is_some() { stacked * n } else { 0 }, 0.0);
        let queries = MatRef::from_row_major_slice(&self.queries, stacked, head_dim);
        let scores = MatMut::from_row_major_slice_mut(&mut self.weights, stacked, n);
        matmul(scores, Accum::Replace, queries, head_of(given.k, kv_head, head_dim, keys).transpose(), scale, Par::Seq);
        for (row, scores) in self.weights.chunks_exact_mut(n).enumerate() {
            let t = tile.start + row % tile.len();
            let seen = first_key(given.shape, t) - keys.start..t + 1 - keys.start;
            let slopes = self.slopes.get_mut(row * n..(row + 1) * n).unwrap_or_default();
            soften(scores, seen, softcap, slopes);
        }
    }

    /// Adds what one objective's gradient makes of a tile.
    fn differentiate(
        &mut self,
        given: &Given<'_>,
        kv_head: usize,
        objective: usize,
        tile: &Range<usize>,
        keys: &Range<usize>,
        part: &mut Part,
    ) {
        let Heads { head_dim, scale, .. } = given.shape;
        stack(given.shape, given.g[objective], kv_head, tile, &mut self.g);
        let (stacked, n) = (self.queries.len() / head_dim, keys.len());
        self.d_scores.resize(stacked * n, 0.0);
        let g = MatRef::from_row_major_slice(&self.g, stacked, head_dim);
        let d_scores = MatMut::from_row_major_slice_mut(&mut self.d_scores, stacked, n);
        matmul(d_scores, Accum::Replace, g, head_of(given.v, kv_head, head_dim, keys).transpose(), 1.0, Par::Seq);
        for (row, (d, weights)) in self.d_scores.chunks_exact_mut(n).zip(self.weights.chunks_exact(n)).enumerate() {
            let (head, t) = (row / tile.len(), tile.start + row % tile.len());
            let first = (kv_head * (given.shape.heads / given.shape.kv_heads) + head) * head_dim;
            let level = dot(&self.g[row * head_dim..][..head_dim], &given.out.row(t)[first..][..head_dim]);
            let slopes = self.slopes.get(row * n..(row + 1) * n);
            through_softmax(d, weights, slopes, level, scale);
        }

        let sums = &mut part.sums[objective];
        let at = (keys.start - part.keys.start) * head_dim..(keys.end - part.keys.start) * head_dim;
        let weights = MatRef::from_row_major_slice(&self.weights, stacked, n);
        let d_scores = MatRef::from_row_major_slice(&self.d_scores, stacked, n);
        let queries = MatRef::from_row_major_slice(&self.queries, stacked, head_dim);
        let values = MatMut::from_row_major_slice_mut(&mut sums.values[at.clone()], n, head_dim);
        matmul(values, Accum::Add, weights.transpose(), g, 1.0, Par::Seq);
        let of_keys = MatMut::from_row_major_slice_mut(&mut sums.keys[at], n, head_dim);
        matmul(of_keys, Accum::Add, d_scores.transpose(), queries, 1.0, Par::Seq);
        self.d_queries.resize(stacked * head_dim, 0.0);
        let d_queries = MatMut::from_row_major_slice_mut(&mut self.d_queries, stacked, head_dim);
        matmul(d_queries, Accum::Replace, d_scores, head_of(given.k, kv_head, head_dim, keys), 1.0, Par::Seq);
        let width = stacked / tile.len() * head_dim;
        for (row, d) in self.d_queries.chunks_exact(head_dim).enumerate() {
            let (head, t) = (row / tile.len(), tile.start - part.tokens.start + row % tile.len());
            sums.queries[t * width + head * head_dim..][..head_dim].copy_from_slice(d);
        }
    }
}

/// Rows of the heads that share a key head, one head after the other, `[group * tokens, C]`.
fn stack(shape: Heads, rows: Rows<'_>, kv_head: usize, tile: &Range<usize>, out: &mut Vec<f32>) {
    let group = shape.heads / shape.kv_heads;
    out.clear();
    for head in kv_head * group..(kv_head + 1) * group {
        for t in tile.clone() {
            out.extend_from_slice(&rows.row(t)[head * shape.head_dim..][..shape.head_dim]);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}

/// Turns scores into probabilities, 0 beyond `seen`, and gives the derivative of the soft cap.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn soften(scores: &mut [f32], seen: Range<usize>, softcap: Option<f32>, slopes: &mut [f32]) {
    if let Some(cap) = softcap {
        for (score, slope) in scores.iter_mut().zip(slopes) {
            let share = tanh(*score / cap);
            *score = cap * share;
            *slope = 1.0 - share * share;
        }
    }
    scores[..seen.start].fill(0.0);
    scores[seen.end..].fill(0.0);
    let scores = &mut scores[seen];
    let max = largest(scores);
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            chunk[i] = exp(chunk[i] - max);
            lanes[i] += chunk[i];
        }
    }
    let mut sum: f64 = lanes.iter().map(|x| f64::from(*x)).sum();
    for x in rest {
        *x = exp(*x - max);
        sum += f64::from(*x);
    }
    let factor = (1.0 / sum) as f32;
    for x in scores {
        *x *= factor;
    }
}

/// `d = p * (d - level) * scale * slope`: from gradients of probabilities to those of `q . k`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn through_softmax(d: &mut [f32], weights: &[f32], slopes: Option<&[f32]>, level: f32, scale: f32) {
    for (d, p) in d.iter_mut().zip(weights) {
        *d = p * (*d - level) * scale;
    }
    if let Some(slopes) = slopes.filter(|slopes| !slopes.is_empty()) {
        for (d, slope) in d.iter_mut().zip(slopes) {
            *d *= slope;
        }
    }
}
