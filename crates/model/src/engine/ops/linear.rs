//! Matrix products with the weights of cells.
//!
//! The product is cut into tiles that are a whole number of faer's register panels wide, each computed by one thread,
//! and rayon hands the tiles out. Against faer's own split over threads this needs no barrier: a thread that the system
//! takes away, or that loads the next block, delays its own tile and nothing else.
//!
//! On x86-64 with AVX2 or AVX-512 each entry of the product is summed over the inputs in one fixed order, whatever the
//! tile and whatever the number of rows or threads (shown by `tests::linear`), so that a row has the same bits in every
//! call. Elsewhere faer's blocking depends on the shape of the tile, and the tile on the number of rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use multiversion::multiversion;
use rayon::prelude::*;

use super::math::tanh;
use crate::engine::Rows;

/// Rows of x in a tile, at most. With 512 inputs at a time they take 1 MiB, what a core's second cache holds today, and
/// packing the weights is paid for by so many rows.
const TILE_ROWS: usize = 512;

/// Rows of W in a tile: one panel of faer's AVX-512 kernel, four of its AVX2 kernel.
const TILE_OUTPUTS: usize = 96;

/// `out = x W^T + b`: x `[T, n]`, W `[m, n]` row-major, out `[T, m]`.
pub(crate) fn linear(x: Rows<'_>, weights: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let stride = if x.cols() == 0 { 0 } else { weights.len() / x.cols() };
    linear_into(x, weights, bias, out, stride, 0);
}

/// [`linear`] into columns `first..first + m` of the rows of out, `[T, stride]`; the other columns stay what they are. Four columns
/// and more have the bits that they have in a wider product.
pub(crate) fn linear_into(
    x: Rows<'_>,
    weights: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
    stride: usize,
    first: usize,
) {
    let (tokens, inputs) = (x.len(), x.cols());
    if tokens == 0 || inputs == 0 {
        return;
    }
    let outputs = weights.len() / inputs;
    if tokens == 1 {
        // A product with a vector takes another path through faer, with other roundings.
        let (x, mut twice) = ([x.row(0), x.row(0)].concat(), vec![0.0; 2 * outputs]);
        linear(Rows::dense(&x, inputs), weights, bias, &mut twice);
        out[first..first + outputs].copy_from_slice(&twice[..outputs]);
        return;
    }
    let w = MatRef::from_row_major_slice(weights, outputs, inputs);
    let y = MatMut::from_row_major_slice_mut(out, tokens, stride).subcols_mut(first, outputs);
    product(y, Accum::Replace, of_rows(x), w.transpose(), bias);
}

/// `dx = g W`, or `dx += g W` where `add` says so: g `[T, m]`, W `[m, n]` row-major, dx `[T, n]`. The gradient of [`linear`]
/// to its input.
pub(crate) fn linear_backward(g: Rows<'_>, weights: &[f32], add: bool, dx: &mut [f32]) {
    let (tokens, outputs) = (g.len(), g.cols());
    if tokens == 0 || outputs == 0 {
        return;
    }
    if tokens == 1 {
        // As in `linear`.
        let (g, mut twice) = ([g.row(0), g.row(0)].concat(), [&*dx, &*dx].concat());
        linear_backward(Rows::dense(&g, outputs), weights, add, &mut twice);
        dx.copy_from_slice(&twice[..dx.len()]);
        return;
    }
    let inputs = weights.len() / outputs;
    let w = MatRef::from_row_major_slice(weights, outputs, inputs);
    let dx = MatMut::from_row_major_slice_mut(dx, tokens, inputs);
    product(dx, accumulate(add), of_rows(g), w, None);
}

/// `dW = g^T x`, or `dW += g^T x`: g `[T, m]`, x `[T, n]`, dW `[m, n]` row-major. The gradient of [`linear`] to its weights.
pub(crate) fn weight_gradient(g: Rows<'_>, x: Rows<'_>, add: bool, out: &mut [f32]) {
    let (outputs, inputs) = (g.cols(), x.cols());
    if g.is_empty() {
        if !add {
            out.fill(0.0);
        }
        return;
    }
    let out = MatMut::from_row_major_slice_mut(out, outputs, inputs);
    product(out, accumulate(add), of_rows(g).transpose(), of_rows(x), None);
}

/// `y = a b` or `y += a b`, tile by tile of y; then the bias is added to each row.
fn product(y: MatMut<'_, f32>, accumulate: Accum, a: MatRef<'_, f32>, b: MatRef<'_, f32>, bias: Option<&[f32]>) {
    tiles(y).into_par_iter().with_max_len(1).for_each(|tile| {
        let Tile { row, output, mut out } = tile;
        let (a, b) = (a.subrows(row, out.nrows()), b.subcols(output, out.ncols()));
        matmul(out.as_mut(), accumulate, a, b, 1.0_f32, Par::Seq);
        if let Some(bias) = bias {
            let bias = &bias[output..output + out.ncols()];
            for row in out.row_iter_mut().filter_map(|row| row.try_as_row_major_mut()) {
                add_to(row.as_slice_mut(), bias);
            }
        }
    });
}

fn of_rows(rows: Rows<'_>) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice_with_stride(rows.values(), rows.len(), rows.cols(), rows.stride())
}

fn accumulate(add: bool) -> Accum {
    if add { Accum::Add } else { Accum::Replace }
}

/// Part of a product: `out` is what rows from `row` on give with outputs from `output` on.
struct Tile<'a> {
    row: usize,
    output: usize,
    out: MatMut<'a, f32>,
}

/// Cuts a product. Tiles of the same outputs follow each other, so that threads far apart in the list share no weights.
fn tiles(mut y: MatMut<'_, f32>) -> Vec<Tile<'_>> {
    // Equal shares in whole groups of the rows that the kernel takes at a time, and none of one row.
    let rows = y.nrows().div_ceil(y.nrows().div_ceil(TILE_ROWS)).next_multiple_of(4);
    let mut tiles = Vec::with_capacity(y.nrows().div_ceil(rows) * y.ncols().div_ceil(TILE_OUTPUTS));
    let mut output = 0;
    while y.ncols() > 0 {
        // None of one output either.
        let width = if y.ncols() <= TILE_OUTPUTS + 1 { y.ncols() } else { TILE_OUTPUTS };
        let (mut column, rest) = y.split_at_col_mut(width);
        let mut row = 0;
        while column.nrows() > 0 {
            let left = column.nrows();
            let height = if left <= rows + 1 { left } else { rows };
            let (out, below) = column.split_at_row_mut(height);
            tiles.push(Tile { row, output, out });
            (row, column) = (row + height, below);
        }
        (output, y) = (output + width, rest);
    }
    tiles
}

/// `out += x`.
pub(crate) fn add(out: &mut [f32], x: &[f32]) {
    out.par_chunks_mut(RUN).zip(x.par_chunks(RUN)).for_each(|(out, x)| add_to(out, x));
}

/// `x *= factor`; nothing when it is 1.
pub(crate) fn scale(x: &mut [f32], factor: f32) {
    if factor != 1.0 {
        x.par_chunks_mut(RUN).for_each(|run| scale_by(run, factor));
    }
}

/// Clamps to `-limit..=limit`; NaN stays NaN.
pub(crate) fn clamp(x: &mut [f32], limit: f32) {
    x.par_chunks_mut(RUN).for_each(|run| clamp_to(run, limit));
}

/// From the gradient of what [`clamp`] put out to that of what it took in, in place: x are the values before it, g `[T, x.cols()]`.
/// As in torch 2.15 nothing passes at the limits themselves.
pub(crate) fn clamp_backward(x: Rows<'_>, limit: f32, g: &mut [f32]) {
    let cols = x.cols();
    if cols == 0 {
        return;
    }
    let rows = g.par_chunks_mut(cols).enumerate().with_min_len((RUN / cols).max(1));
    rows.for_each(|(t, g)| stop_beyond(x.row(t), limit, g));
}

/// `x = cap * tanh(x / cap)`.
pub(crate) fn softcap(x: &mut [f32], cap: f32) {
    x.par_chunks_mut(RUN).for_each(|run| cap_at(run, cap));
}

/// Entries that one task sweeps: enough to outweigh handing it out.
const RUN: usize = 1 << 14;

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn add_to(out: &mut [f32], x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += x;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn scale_by(x: &mut [f32], factor: f32) {
    for x in x {
        *x *= factor;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn clamp_to(x: &mut [f32], limit: f32) {
    for x in x {
        *x = x.clamp(-limit, limit);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn stop_beyond(x: &[f32], limit: f32, g: &mut [f32]) {
    for (g, x) in g.iter_mut().zip(x) {
        *g = if *x > -limit && *x < limit { *g } else { 0.0 };
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn cap_at(x: &mut [f32], cap: f32) {
    for x in x {
        *x = cap * tanh(*x / cap);
    }
}
