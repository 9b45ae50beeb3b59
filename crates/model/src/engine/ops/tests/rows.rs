//! Norms, rotation, activations: what happens row by row.

use super::{bits, distance, noise, on_threads, plain};
use crate::architecture::{Activation, NormKind};
use crate::engine::ops::{Columns, NormWeights, RotaryTable, activate, gate, normalise, normalise_heads, rotate};

const ACTIVATIONS: [Activation; 5] =
    [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::ReluSquared];

#[test]
fn norms_of_rows() {
    for cols in [1, 15, 16, 17, 576, 1000] {
        for (kind, bias) in [(NormKind::Rms, false), (NormKind::Layer, false), (NormKind::Layer, true)] {
            for offset in [0.0, 1000.0] {
                let x: Vec<f32> = noise(1, 33 * cols, 2.0).iter().map(|x| x + offset).collect();
                let bias = bias.then(|| noise(3, cols, 1.0));
                let norm = NormWeights { kind, epsilon: 1e-5, weight: noise(2, cols, 2.0), bias };
                let mut out = vec![f32::NAN; x.len()];
                normalise(&x, &norm, &mut out);
                for (row, out) in x.chunks(cols).zip(out.chunks(cols)) {
                    let expected = plain::norm(row, kind, norm.epsilon, &norm.weight, norm.bias.as_deref());
                    let top = expected.iter().fold(0.0_f64, |top, x| top.max(x.abs()));
                    assert!(top < 1e-6 || distance(out, &expected) < 2e-7, "{cols} columns, {kind:?}, offset {offset}");
                }
            }
        }
    }
}

#[test]
fn norms_of_heads_leave_the_other_columns_alone() {
    let columns = Columns { stride: 40, first: 5, count: 3, width: 9 };
    let x = noise(1, 21 * columns.stride, 2.0);
    for weights in [columns.width, columns.count * columns.width] {
        let (weight, bias) = (noise(2, weights, 2.0), Some(noise(3, weights, 1.0)));
        let norm = NormWeights { kind: NormKind::Layer, epsilon: 1e-6, weight, bias };
        let mut out = x.clone();
        normalise_heads(&mut out, columns, &norm);
        for (row, out) in x.chunks(columns.stride).zip(out.chunks(columns.stride)) {
            assert_eq!((bits(&row[..5]), bits(&row[32..])), (bits(&out[..5]), bits(&out[32..])));
            for head in 0..columns.count {
                let at = columns.first + head * columns.width..columns.first + (head + 1) * columns.width;
                let own = if weights == columns.width { 0 } else { head * columns.width };
                let own = own..own + columns.width;
                let bias = norm.bias.as_ref().map(|b| &b[own.clone()]);
                let expected = plain::norm(&row[at.clone()], norm.kind, norm.epsilon, &norm.weight[own], bias);
                assert!(distance(&out[at], &expected) < 3e-7);
            }
        }
    }
}

#[test]
fn activations_are_good_to_a_few_roundings() {
    let x: Vec<f32> = noise(1, 50_000, 12.0).into_iter().chain([0.0, 1e-30, -1e-30, 1e4, -1e4]).collect();
    for activation in ACTIVATIONS {
        let mut out = vec![f32::NAN; x.len()];
        activate(&x, activation, &mut out);
        for (x, out) in x.iter().zip(&out) {
            let expected = plain::activation(activation, *x);
            // 1 + tanh loses digits where tanh is near -1, here as in the reference; so does e^(-x^2 / 2), by its square.
            let slack = match activation {
                Activation::GeluTanh => 1e-6,
                Activation::Gelu => 1e-10,
                _ => 1e-12,
            };
            let off = (f64::from(*out) - expected).abs();
            assert!(off <= 8e-7 * expected.abs() + slack, "{activation:?} of {x}: {out} instead of {expected}");
        }
        activate(&[f32::NAN], activation, &mut out[..1]);
        assert!(out[0].is_nan(), "{activation:?} of NaN");
    }
}

#[test]
fn a_gate_multiplies_the_first_half_by_the_activated_second() {
    for (tokens, width) in [(1, 1), (7, 33), (50, 1536)] {
        for activation in ACTIVATIONS {
            let rows = noise(4, tokens * 2 * width, 5.0);
            let mut out = vec![f32::NAN; tokens * width];
            gate(&rows, activation, width, &mut out);
            let expected = rows.chunks(2 * width).flat_map(|row| {
                let (up, gate) = row.split_at(width);
                up.iter().zip(gate).map(|(u, g)| f64::from(*u) * plain::activation(activation, *g)).collect::<Vec<_>>()
            });
            assert!(distance(&out, &expected.collect::<Vec<_>>()) < 1e-6);
        }
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let x = noise(1, 600 * 128, 4.0);
    let norm = NormWeights { kind: NormKind::Rms, epsilon: 1e-5, weight: noise(2, 128, 2.0), bias: None };
    let run = || {
        let (mut gated, mut normed) = (vec![0.0; x.len() / 2], vec![0.0; x.len()]);
        gate(&x, Activation::Silu, 64, &mut gated);
        normalise(&x, &norm, &mut normed);
        [bits(&gated), bits(&normed)]
    };
    assert_eq!(on_threads(1, run), on_threads(4, run));
}

/// Angles as of base 10000.
pub(super) fn table(dims: usize, length: usize) -> RotaryTable {
    let frequencies: Vec<f32> = (0..dims / 2).map(|i| 1e4_f32.powf(-2.0 * i as f32 / dims as f32)).collect();
    RotaryTable::from_frequencies(dims, &frequencies, 0.5, length)
}

#[test]
fn a_rotation_turns_pairs_and_leaves_what_is_not_rotated() {
    let (length, columns) = (50, Columns { stride: 50, first: 4, count: 3, width: 14 });
    for dims in [0, 2, 8, 14] {
        let x = noise(7, length * columns.stride, 1.0);
        let mut out = x.clone();
        rotate(&mut out, columns, &table(dims, length));
        for (t, (row, out)) in x.chunks(columns.stride).zip(out.chunks(columns.stride)).enumerate() {
            let mut expected: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
            for (head, pair) in (0..columns.count).flat_map(|head| (0..dims / 2).map(move |pair| (head, pair))) {
                let angle = t as f64 * 1e4_f64.powf(-2.0 * pair as f64 / dims as f64);
                let a = columns.first + head * columns.width + pair;
                let b = a + dims / 2;
                let (first, second) = (f64::from(row[a]), f64::from(row[b]));
                expected[a] = 0.5 * (first * angle.cos() - second * angle.sin());
                expected[b] = 0.5 * (second * angle.cos() + first * angle.sin());
            }
            assert!(distance(out, &expected) < 5e-6, "{dims} dims at position {t}");
        }
    }
}
