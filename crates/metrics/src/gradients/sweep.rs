//! Sums over gradients, outputs and weights.
//!
//! Everything is f64 from the first product on, in fixed lanes and fixed chunks, so that a sum is the same to the bit
//! whatever instructions the machine has and however many threads share the work.

use multiversion::multiversion;
use rayon::prelude::*;
use tomo_model::engine::Rows;

/// Entries handled side by side.
const LANES: usize = 16;
/// Entries that one task sweeps.
const CHUNK: usize = 1 << 16;
/// Columns that one task sums over all rows.
const COLUMNS: usize = 512;

/// `a . b`.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += f64::from(a[i]) * f64::from(b[i]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// `sum_k a_k^2 b_k^2`.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
pub(crate) fn dot_of_squares(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let square = |a: f32, b: f32| {
        let product = f64::from(a) * f64::from(b);
        product * product
    };
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += square(a[i], b[i]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| square(*a, *b)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// `sum_t a_t . b_t` over the rows that both have.
pub(crate) fn dot_of_rows(a: Rows<'_>, b: Rows<'_>) -> f64 {
    let rows = a.len().min(b.len());
    let each: Vec<f64> = (0..rows).into_par_iter().map(|t| dot(a.row(t), b.row(t))).collect();
    each.iter().sum()
}

/// `sum_i v_i^2`.
pub(crate) fn square_sum(values: &[f32]) -> f64 {
    let each: Vec<f64> = values.par_chunks(CHUNK).map(|part| dot(part, part)).collect();
    each.iter().sum()
}

/// `total += part`, and the sum of the squares of `part`.
pub(crate) fn add_and_square(total: &mut [f32], part: &[f32]) -> f64 {
    let both = total.par_chunks_mut(CHUNK).zip(part.par_chunks(CHUNK));
    let each: Vec<f64> = both
        .map(|(total, part)| {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
            dot(part, part)
        })
        .collect();
    each.iter().sum()
}

/// `sum_i |w_i g_i|` and `sum_i g_i^2`.
pub(crate) fn taylor_and_square(weights: &[f32], gradient: &[f32]) -> (f64, f64) {
    let both = weights.par_chunks(CHUNK).zip(gradient.par_chunks(CHUNK));
    let each: Vec<(f64, f64)> = both.map(|(w, g)| (absolute(w, g), dot(g, g))).collect();
    each.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// `sum_i |a_i b_i|`.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn absolute(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += (f64::from(a[i]) * f64::from(b[i])).abs();
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum();
    lanes.iter().sum::<f64>() + rest
}

/// Sums over some rows of gradients and outputs.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct RowSums {
    /// `sum_t g_t . y_t`.
    pub(crate) product: f64,
    /// `sum_t g_t`, `[m]`.
    pub(crate) gradient: Vec<f64>,
    /// `sum_t y_t`, `[m]`.
    pub(crate) output: Vec<f64>,
}

/// Sums over all rows of `gradient` and `output`, `[T, m]` each.
pub(crate) fn row_sums(gradient: Rows<'_>, output: Rows<'_>) -> RowSums {
    let cols = gradient.cols();
    let firsts: Vec<usize> = (0..cols).step_by(COLUMNS).collect();
    let parts: Vec<RowSums> = firsts
        .into_par_iter()
        .map(|first| {
            let last = cols.min(first + COLUMNS);
            let mut sums = RowSums { product: 0.0, gradient: vec![0.0; last - first], output: vec![0.0; last - first] };
            for (g, y) in gradient.iter().zip(output.iter()) {
                add_row(&g[first..last], &y[first..last], &mut sums);
            }
            sums
        })
        .collect();
    let mut all = RowSums::default();
    for part in parts {
        all.product += part.product;
        all.gradient.extend(part.gradient);
        all.output.extend(part.output);
    }
    all
}

#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn add_row(g: &[f32], y: &[f32], sums: &mut RowSums) {
    sums.gradient.iter_mut().zip(g).for_each(|(sum, g)| *sum += f64::from(*g));
    sums.output.iter_mut().zip(y).for_each(|(sum, y)| *sum += f64::from(*y));
    sums.product += dot(g, y);
}
