//! The nonlinearities of MLPs.

use rayon::prelude::*;

use crate::architecture::Activation;

/// `out = act(g) * u` for rows `[u | g]` of `2 F` values; out `[T, F]`.
pub(crate) fn gate(up_gate: &[f32], activation: Activation, width: usize, out: &mut [f32]) {
    out.par_chunks_mut(width).zip(up_gate.par_chunks(2 * width)).for_each(|(out, row)| {
        let (up, gate) = row.split_at(width);
        for ((out, u), g) in out.iter_mut().zip(up).zip(gate) {
            *out = value(activation, *g) * u;
        }
    });
}

/// `out = act(x)`.
pub(crate) fn activate(x: &[f32], activation: Activation, out: &mut [f32]) {
    out.par_chunks_mut(4096).zip(x.par_chunks(4096)).for_each(|(out, x)| {
        for (out, x) in out.iter_mut().zip(x) {
            *out = value(activation, *x);
        }
    });
}

fn value(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + erf(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2) as f32),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::ReluSquared => x.max(0.0).powi(2),
    }
}

/// The error function by its series, and by a continued fraction far out; good to f64 rounding for what f32 needs.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..100 {
            term *= -a * a / f64::from(n);
            let part = term / f64::from(2 * n + 1);
            sum += part;
            if part.abs() < 1e-17 {
                break;
            }
        }
        return (sum * std::f64::consts::FRAC_2_SQRT_PI).copysign(x);
    }
    let mut fraction = 0.0;
    for n in (1..60).rev() {
        fraction = f64::from(n) / 2.0 / (a + fraction);
    }
    (1.0 - (-a * a).exp() / ((a + fraction) * std::f64::consts::PI.sqrt())).copysign(x)
}
