//! The nonlinearities of MLPs.

use multiversion::multiversion;
use rayon::prelude::*;

use super::math::{exp, normal_cdf, tanh};
use crate::architecture::Activation;

/// Entries that one task sweeps, at least: enough to outweigh handing it out.
const RUN: usize = 1 << 14;

/// `out = act(g) * u` for rows `[u | g]` of `2 F` values; out `[T, F]`.
pub(crate) fn gate(up_gate: &[f32], activation: Activation, width: usize, out: &mut [f32]) {
    let rows = out.par_chunks_mut(width).zip(up_gate.par_chunks(2 * width));
    rows.with_min_len((RUN / width.max(1)).max(1)).for_each(|(out, row)| {
        let (up, gate) = row.split_at(width);
        activate_run(gate, activation, out);
        multiply(out, up);
    });
}

/// `out = act(x)`.
pub(crate) fn activate(x: &[f32], activation: Activation, out: &mut [f32]) {
    out.par_chunks_mut(RUN).zip(x.par_chunks(RUN)).for_each(|(out, x)| activate_run(x, activation, out));
}

/// One loop per function, so that each is a loop over vectors.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn activate_run(x: &[f32], activation: Activation, out: &mut [f32]) {
    match activation {
        Activation::Silu => each(x, out, |x| x / (1.0 + exp(-x))),
        Activation::Gelu => each(x, out, |x| x * normal_cdf(x)),
        Activation::GeluTanh => each(x, out, gelu_tanh),
        // Comparisons instead of `max`, which would turn NaN into 0.
        Activation::Relu => each(x, out, |x| if x < 0.0 { 0.0 } else { x }),
        Activation::ReluSquared => each(x, out, |x| if x < 0.0 { 0.0 } else { x * x }),
    }
}

#[inline(always)]
fn each(x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f(*x);
    }
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const SLOPE: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    0.5 * x * (1.0 + tanh(SLOPE * (x + 0.044_715 * x * x * x)))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn multiply(out: &mut [f32], x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out *= x;
    }
}
