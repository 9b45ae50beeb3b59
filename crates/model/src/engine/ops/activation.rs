//! The nonlinearities of MLPs.

use multiversion::multiversion;
use rayon::prelude::*;

use super::math::{exp, normal_cdf, tanh};
use crate::architecture::Activation;
use crate::engine::Rows;

/// Entries that one task sweeps, at least: enough to outweigh handing it out.
const RUN: usize = 1 << 14;

/// `out = act(g) * u` for rows `[u | g]` of `2 F` values; out `[T, F]`.
pub(crate) fn gate(up_gate: &[f32], activation: Activation, width: usize, out: &mut [f32]) {
    let (up, gate) = (Rows::columns(up_gate, 2 * width, 0, width), Rows::columns(up_gate, 2 * width, width, width));
    gate_rows(up, gate, activation, out);
}

/// `out = act(g) * u`; u, g and out `[T, F]`.
pub(crate) fn gate_rows(up: Rows<'_>, gate: Rows<'_>, activation: Activation, out: &mut [f32]) {
    let width = up.cols().max(1);
    out.par_chunks_mut(width).enumerate().with_min_len((RUN / width).max(1)).for_each(|(t, out)| {
        activate_run(gate.row(t), activation, out);
        multiply(out, up.row(t));
    });
}

/// `out = act(x)`.
pub(crate) fn activate(x: &[f32], activation: Activation, out: &mut [f32]) {
    out.par_chunks_mut(RUN).zip(x.par_chunks(RUN)).for_each(|(out, x)| activate_run(x, activation, out));
}

/// The gradient of [`gate`]: `up_gate` are its rows `[u | g]`, g = dL/dout `[T, F]`, out rows `[du | dg]`.
pub(crate) fn gate_backward(up_gate: &[f32], activation: Activation, width: usize, g: &[f32], out: &mut [f32]) {
    let rows = out.par_chunks_mut(2 * width).zip(up_gate.par_chunks(2 * width).zip(g.par_chunks(width)));
    rows.with_min_len((RUN / width.max(1)).max(1)).for_each(|(out, (row, g))| {
        let ((up, gate), (d_up, d_gate)) = (row.split_at(width), out.split_at_mut(width));
        activate_run(gate, activation, d_up);
        multiply(d_up, g);
        slope_run(gate, activation, g, d_gate);
        multiply(d_gate, up);
    });
}

/// The gradient of [`activate`]: `out = act'(x) * g`.
pub(crate) fn activate_backward(x: &[f32], activation: Activation, g: &[f32], out: &mut [f32]) {
    let runs = out.par_chunks_mut(RUN).zip(x.par_chunks(RUN).zip(g.par_chunks(RUN)));
    runs.for_each(|(out, (x, g))| slope_run(x, activation, g, out));
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

/// `out = act'(x) * g`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma", "x86_64+avx2+fma"), dispatcher = "direct")]
fn slope_run(x: &[f32], activation: Activation, g: &[f32], out: &mut [f32]) {
    match activation {
        Activation::Silu => each_slope(x, g, out, |x| {
            let share = 1.0 / (1.0 + exp(-x));
            share * (1.0 + x * (1.0 - share))
        }),
        Activation::Gelu => each_slope(x, g, out, |x| normal_cdf(x) + x * normal_density(x)),
        Activation::GeluTanh => each_slope(x, g, out, gelu_tanh_slope),
        // Comparisons that let NaN through.
        Activation::Relu => each_slope(x, g, out, |x| if x <= 0.0 { 0.0 } else { 1.0 }),
        Activation::ReluSquared => each_slope(x, g, out, |x| if x <= 0.0 { 0.0 } else { x + x }),
    }
}

#[inline(always)]
fn each_slope(x: &[f32], g: &[f32], out: &mut [f32], slope: impl Fn(f32) -> f32) {
    for ((out, x), g) in out.iter_mut().zip(x).zip(g) {
        *out = slope(*x) * g;
    }
}

#[inline(always)]
fn normal_density(x: f32) -> f32 {
    const HEIGHT: f32 = 0.5 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    HEIGHT * exp(-0.5 * (x * x))
}

#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    const SLOPE: f32 = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
    let t = tanh(SLOPE * (x + 0.044_715 * x * x * x));
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * SLOPE * (1.0 + 3.0 * 0.044_715 * x * x)
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
