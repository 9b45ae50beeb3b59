//! Norms over rows and over heads. Sums are in f64.

use multiversion::multiversion;
use rayon::prelude::*;

use super::Columns;
use crate::architecture::NormKind;

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
            let own = if norm.weight.len() == columns.width { 0 } else { index * columns.width };
            let of_head = own..own + columns.width;
            let bias = norm.bias.as_ref().map(|b| &b[of_head.clone()]);
            normalise_row(head, norm.kind, norm.epsilon, &norm.weight[of_head], bias);
        }
    });
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn normalise_row(row: &mut [f32], kind: NormKind, epsilon: f32, weight: &[f32], bias: Option<&[f32]>) {
    let count = row.len() as f64;
    let mean = match kind {
        NormKind::Rms => 0.0,
        NormKind::Layer => sum(row, |x| x) / count,
    };
    let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
    let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
    for (x, w) in row.iter_mut().zip(weight) {
        *x = ((f64::from(*x) - mean) * factor) as f32 * w;
    }
    if let Some(bias) = bias {
        for (x, b) in row.iter_mut().zip(bias) {
            *x += b;
        }
    }
}

/// The sum of `f` over `values`, in fixed lanes: two AVX-512 registers, so that an addition need not wait for the last.
#[inline(always)]
fn sum(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    const LANES: usize = 16;
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += f(f64::from(chunk[i]));
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|x| f(f64::from(*x))).sum::<f64>()
}
