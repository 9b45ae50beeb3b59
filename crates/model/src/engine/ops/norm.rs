//! Norms over rows and over heads. Sums are in f64.

use std::ops::Range;

use multiversion::multiversion;
use rayon::prelude::*;

use super::Columns;
use crate::architecture::NormKind;
use crate::engine::Rows;

/// A norm with its weights decoded.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NormWeights {
    pub(crate) kind: NormKind,
    pub(crate) epsilon: f32,
    /// The offset of the family is in it already. One weight per column; of heads also one set per head.
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Option<Vec<f32>>,
}

/// `out = norm(x)`, row by row; both `[T, D]` with D the length of the weight.
pub(crate) fn normalise(x: &[f32], norm: &NormWeights, out: &mut [f32]) {
    let cols = norm.weight.len();
    out.par_chunks_mut(cols).zip(x.par_chunks(cols)).with_min_len(16).for_each(|(out, x)| {
        out.copy_from_slice(x);
        normalise_row(out, norm.kind, norm.epsilon, &norm.weight, norm.bias.as_deref());
    });
}

/// Normalises each group of `columns` by itself, in place. The weight has the width of one group, or of all together.
pub(crate) fn normalise_heads(values: &mut [f32], columns: Columns, norm: &NormWeights) {
    values.par_chunks_mut(columns.stride).with_min_len(16).for_each(|row| {
        for (index, head) in row[columns.range()].chunks_exact_mut(columns.width).enumerate() {
            let of_head = norm.of_head(columns, index);
            let bias = norm.bias.as_ref().map(|b| &b[of_head.clone()]);
            normalise_row(head, norm.kind, norm.epsilon, &norm.weight[of_head], bias);
        }
    });
}

/// `dx += ` the gradient of [`normalise`] to its input: x `[T, D]`, g = dL/dout `[T, D]`, dx `[T, D]`.
pub(crate) fn normalise_backward(x: &[f32], norm: &NormWeights, g: &[f32], dx: &mut [f32]) {
    let cols = norm.weight.len();
    let rows = dx.par_chunks_mut(cols).zip(x.par_chunks(cols).zip(g.par_chunks(cols)));
    rows.with_min_len(16).for_each(|(dx, (x, g))| add_backward(x, norm.kind, norm.epsilon, &norm.weight, g, dx));
}

/// From the gradient of what [`normalise_heads`] put out to that of what it took in, in place: x are the values before the
/// norm, in rows that have the same columns; g `[T, stride]`.
pub(crate) fn normalise_heads_backward(x: Rows<'_>, columns: Columns, norm: &NormWeights, g: &mut [f32]) {
    let rows = g.par_chunks_mut(columns.stride).enumerate().with_min_len(16);
    rows.for_each_init(Vec::new, |sum, (t, g)| {
        let x = &x.row(t)[columns.range()];
        let heads = x.chunks_exact(columns.width).zip(g[columns.range()].chunks_exact_mut(columns.width));
        for (index, (x, g)) in heads.enumerate() {
            sum.clear();
            sum.resize(columns.width, 0.0);
            add_backward(x, norm.kind, norm.epsilon, &norm.weight[norm.of_head(columns, index)], g, sum);
            g.copy_from_slice(sum);
        }
    });
}

/// Rows whose sums are taken together: the same on any number of threads.
const ROWS: usize = 64;

/// Adds the gradients of a norm's weight and bias: x `[T, ..]` are the values before the norm and g the gradient of what it put
/// out, both with the columns of `columns`. Of a norm of whole rows that is one group of D columns.
pub(crate) fn norm_gradient(
    x: Rows<'_>,
    columns: Columns,
    norm: &NormWeights,
    g: Rows<'_>,
    weight: &mut [f64],
    bias: Option<&mut [f64]>,
) {
    let width = norm.weight.len();
    let starts: Vec<usize> = (0..x.len()).step_by(ROWS).collect();
    let parts: Vec<Vec<f64>> = starts
        .into_par_iter()
        .map(|first| {
            let mut sums = vec![0.0; 2 * width];
            let (of_weight, of_bias) = sums.split_at_mut(width);
            for t in first..x.len().min(first + ROWS) {
                let (x, g) = (&x.row(t)[columns.range()], &g.row(t)[columns.range()]);
                let heads = x.chunks_exact(columns.width).zip(g.chunks_exact(columns.width));
                for (index, (x, g)) in heads.enumerate() {
                    let own = norm.of_head(columns, index);
                    let (weight, bias) = (&mut of_weight[own.clone()], &mut of_bias[own]);
                    add_gradients(x, norm.kind, norm.epsilon, g, weight, bias);
                }
            }
            sums
        })
        .collect();
    for part in &parts {
        weight.iter_mut().zip(&part[..width]).for_each(|(sum, part)| *sum += part);
    }
    if let Some(bias) = bias {
        for part in &parts {
            bias.iter_mut().zip(&part[width..]).for_each(|(sum, part)| *sum += part);
        }
    }
}

impl NormWeights {
    /// Which weights head `index` has.
    fn of_head(&self, columns: Columns, index: usize) -> Range<usize> {
        let own = if self.weight.len() == columns.width { 0 } else { index * columns.width };
        own..own + columns.width
    }
}

/// What a norm subtracts, and what it multiplies with.
#[derive(Clone, Copy)]
struct Moments {
    mean: f64,
    factor: f64,
}

impl Moments {
    #[inline(always)]
    fn of(row: &[f32], kind: NormKind, epsilon: f32) -> Self {
        let count = row.len() as f64;
        let mean = match kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => sum(row, |x| x) / count,
        };
        let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
        Self { mean, factor: 1.0 / (variance + f64::from(epsilon)).sqrt() }
    }
}

/// Adds one row's gradient to dx.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn add_backward(x: &[f32], kind: NormKind, epsilon: f32, weight: &[f32], g: &[f32], dx: &mut [f32]) {
    let Moments { mean, factor } = Moments::of(x, kind, epsilon);
    let count = x.len() as f64;
    let ((xs, x_rest), (ws, w_rest), (gs, g_rest)) =
        (x.as_chunks::<LANES>(), weight.as_chunks::<LANES>(), g.as_chunks::<LANES>());
    let (mut along, mut level) = ([0.0; LANES], [0.0; LANES]);
    for ((x, w), g) in xs.iter().zip(ws).zip(gs) {
        for i in 0..LANES {
            let gw = f64::from(g[i] * w[i]);
            along[i] += gw * (f64::from(x[i]) - mean);
            level[i] += gw;
        }
    }
    for (i, ((x, w), g)) in x_rest.iter().zip(w_rest).zip(g_rest).enumerate() {
        let gw = f64::from(g * w);
        along[i] += gw * (f64::from(*x) - mean);
        level[i] += gw;
    }
    let along = along.iter().sum::<f64>() * factor * factor / count;
    let level = match kind {
        NormKind::Rms => 0.0,
        NormKind::Layer => level.iter().sum::<f64>() / count,
    };
    for (((dx, x), w), g) in dx.iter_mut().zip(x).zip(weight).zip(g) {
        *dx += (factor * (f64::from(g * w) - level - (f64::from(*x) - mean) * along)) as f32;
    }
}

/// Adds what one row gives to the gradients of weight and bias.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn add_gradients(x: &[f32], kind: NormKind, epsilon: f32, g: &[f32], weight: &mut [f64], bias: &mut [f64]) {
    let Moments { mean, factor } = Moments::of(x, kind, epsilon);
    for (((x, g), weight), bias) in x.iter().zip(g).zip(weight).zip(bias) {
        let g = f64::from(*g);
        *weight += g * ((f64::from(*x) - mean) * factor);
        *bias += g;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn normalise_row(row: &mut [f32], kind: NormKind, epsilon: f32, weight: &[f32], bias: Option<&[f32]>) {
    let Moments { mean, factor } = Moments::of(row, kind, epsilon);
    for (x, w) in row.iter_mut().zip(weight) {
        *x = ((f64::from(*x) - mean) * factor) as f32 * w;
    }
    if let Some(bias) = bias {
        for (x, b) in row.iter_mut().zip(bias) {
            *x += b;
        }
    }
}

/// Two AVX-512 registers of f64, so that an addition need not wait for the last.
const LANES: usize = 16;

/// The sum of `f` over `values`, in fixed lanes.
#[inline(always)]
fn sum(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += f(f64::from(chunk[i]));
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|x| f(f64::from(*x))).sum::<f64>()
}
