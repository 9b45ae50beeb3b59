//! Every operation once more, in f64 and as plainly as it can be written: what the fast ones are held against.

use crate::architecture::{Activation, NormKind};
use crate::engine::Rows;
use crate::engine::ops::Heads;

pub(super) fn linear(x: Rows<'_>, weights: &[f32], bias: Option<&[f32]>) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let row = |x: &[f32]| {
        let outputs = weights.chunks(x.len()).enumerate();
        outputs.map(|(at, w)| dot(x, w) + bias.map_or(0.0, |b| f64::from(b[at]))).collect::<Vec<_>>()
    };
    x.iter().flat_map(row).collect()
}

pub(super) fn attention(shape: Heads, q: Rows<'_>, k: Rows<'_>, v: Rows<'_>) -> Vec<f64> {
    let Heads { heads, kv_heads, head_dim, scale, softcap, window } = shape;
    let mut all = Vec::new();
    for t in 0..q.len() {
        let first = window.map_or(0, |w| (t + 1).saturating_sub(w));
        for head in 0..heads {
            let (own, shared) = (head * head_dim, head / (heads / kv_heads) * head_dim);
            let query = &q.row(t)[own..own + head_dim];
            let score = |s: usize| {
                let key = &k.row(s)[shared..shared + head_dim];
                let dot: f64 = query.iter().zip(key).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let score = dot * f64::from(scale);
                softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
            };
            let scores: Vec<f64> = (first..=t).map(score).collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for c in shared..shared + head_dim {
                let value = |(w, s): (&f64, usize)| w / sum * f64::from(v.row(s)[c]);
                all.push(weights.iter().zip(first..).map(value).sum());
            }
        }
    }
    all
}

pub(super) fn norm(row: &[f32], kind: NormKind, epsilon: f32, weight: &[f32], bias: Option<&[f32]>) -> Vec<f64> {
    let wide: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
    let count = wide.len() as f64;
    let mean = match kind {
        NormKind::Rms => 0.0,
        NormKind::Layer => wide.iter().sum::<f64>() / count,
    };
    let variance = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
    let value =
        |(at, x): (usize, &f64)| (x - mean) * factor * f64::from(weight[at]) + bias.map_or(0.0, |b| f64::from(b[at]));
    wide.iter().enumerate().map(value).collect()
}

pub(super) fn activation(activation: Activation, x: f32) -> f64 {
    let x = f64::from(x);
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x * normal_cdf(x),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::ReluSquared => x.max(0.0).powi(2),
    }
}

pub(super) fn nll(logits: &[f32], target: usize) -> f64 {
    let top = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    top + logits.iter().map(|x| (f64::from(*x) - top).exp()).sum::<f64>().ln() - f64::from(logits[target])
}

/// By its series about 0, and by a continued fraction far out.
pub(super) fn normal_cdf(x: f64) -> f64 {
    let a = x.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let tail = if a < 2.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..200 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        0.5 - sum / std::f64::consts::PI.sqrt()
    } else {
        let fraction = (1..200).rev().fold(0.0, |fraction, n| f64::from(n) / 2.0 / (a + fraction));
        (-a * a).exp() / ((a + fraction) * std::f64::consts::PI.sqrt()) / 2.0
    };
    if x < 0.0 { tail } else { 1.0 - tail }
}
