//! Gradients against central differences of the plain operations in f64, over the shapes that fixtures do not have.

use super::{noise, plain};
use crate::architecture::NormKind;
use crate::engine::Rows;
use crate::engine::ops::{
    Columns, Heads, NormWeights, attention, attention_backward, norm_gradient, normalise_backward,
    normalise_heads_backward,
};

/// Half of the step: a power of two, so that a step of an f32 of size one is exact.
const STEP: f32 = 1.0 / 1024.0;

/// Differences of `f` by each of the entries `at` of x.
fn slopes(x: &[f32], at: impl Iterator<Item = usize>, f: impl Fn(&[f32]) -> f64) -> Vec<(usize, f64)> {
    let mut moved = x.to_vec();
    let slope = |at: usize| {
        let mut value = |to: f32| {
            moved[at] = to;
            f(&moved)
        };
        let (high, low) = (x[at] + STEP, x[at] - STEP);
        let slope = (value(high) - value(low)) / (f64::from(high) - f64::from(low));
        moved[at] = x[at];
        (at, slope)
    };
    at.map(slope).collect()
}

/// `sum of g * y`.
fn weigh(g: &[f32], y: &[f64]) -> f64 {
    g.iter().zip(y).map(|(g, y)| f64::from(*g) * y).sum()
}

/// Compares; NaN agrees with nothing.
#[track_caller]
fn agree(found: &[f32], slopes: &[(usize, f64)], slack: f64, what: &str) {
    let top = slopes.iter().fold(1e-2_f64, |top, (_, x)| top.max(x.abs()));
    for (at, slope) in slopes {
        let found = f64::from(found[*at]);
        assert!((found - slope).abs() <= slack * top, "{what}: {found} instead of {slope} at {at}, of {top}");
    }
}

#[test]
fn of_attention() {
    let plain_shape = Heads { heads: 6, kv_heads: 2, head_dim: 5, scale: 0.35, softcap: None, window: None };
    for (tokens, shape) in [
        (1, plain_shape),
        (2, plain_shape),
        (40, plain_shape),
        (40, Heads { window: Some(7), softcap: Some(1.5), ..plain_shape }),
        (70, Heads { heads: 3, kv_heads: 3, ..plain_shape }),
        (70, Heads { heads: 1, kv_heads: 1, head_dim: 1, ..plain_shape }),
        (100, Heads { window: Some(1), ..plain_shape }),
        (600, Heads { heads: 2, kv_heads: 1, head_dim: 4, window: Some(530), ..plain_shape }),
    ] {
        let Heads { heads, kv_heads, head_dim, .. } = shape;
        let (own, shared) = (heads * head_dim, kv_heads * head_dim);
        let stride = own + 2 * shared;
        let values = noise(1, tokens * stride, 1.5);
        let g = noise(2, tokens * own, 1.0);
        let (q, k, v) = (
            Rows::columns(&values, stride, 0, own),
            Rows::columns(&values, stride, own, shared),
            Rows::columns(&values, stride, own + shared, shared),
        );
        let mut out = vec![f32::NAN; g.len()];
        attention(shape, q, k, v, &mut out);
        let mut d = vec![f32::NAN; values.len()];
        attention_backward(shape, q, k, v, Rows::dense(&out, own), &[Rows::dense(&g, own)], &mut [&mut d]);
        let entries = (0..60).map(|i| i * 7919 % values.len());
        let slopes = slopes(&values, entries, |values| {
            let (q, k, v) = (
                Rows::columns(values, stride, 0, own),
                Rows::columns(values, stride, own, shared),
                Rows::columns(values, stride, own + shared, shared),
            );
            weigh(&g, &plain::attention(shape, q, k, v))
        });
        agree(&d, &slopes, 1e-5, &format!("{tokens} tokens, {shape:?}"));
    }
}

#[test]
fn of_norms_of_rows_and_heads() {
    let columns = Columns { stride: 40, first: 5, count: 3, width: 9 };
    let (x, g) = (noise(1, 70 * 44, 2.0), noise(2, 70 * 40, 1.0));
    for kind in [NormKind::Rms, NormKind::Layer] {
        for weights in [columns.width, columns.count * columns.width] {
            let (weight, bias) = (noise(3, weights, 2.0), Some(noise(4, weights, 1.0)));
            let norm = NormWeights { kind, epsilon: 0.01, weight, bias };
            let value = |x: &[f32], norm: &NormWeights| {
                let rows = x.chunks(44).zip(g.chunks(40));
                let row = |(x, g): (&[f32], &[f32])| {
                    let heads = (0..3).map(|head| {
                        let at = 5 + head * 9..5 + head * 9 + 9;
                        let own = if weights == 9 { 0..9 } else { head * 9..head * 9 + 9 };
                        let bias = norm.bias.as_ref().map(|b| &b[own.clone()]);
                        weigh(&g[at.clone()], &plain::norm(&x[at], kind, 0.01, &norm.weight[own], bias))
                    });
                    heads.sum::<f64>()
                };
                rows.map(row).sum::<f64>()
            };
            let mut d = g.clone();
            let rows = Rows::columns(&x, 44, 0, 44);
            normalise_heads_backward(rows, columns, &norm, &mut d);
            for (t, (d, g)) in d.chunks(40).zip(g.chunks(40)).enumerate() {
                assert_eq!((&d[..5], &d[32..]), (&g[..5], &g[32..]), "row {t}");
            }
            let inside = (0..x.len()).step_by(3).filter(|at| columns.range().contains(&(at % 44)));
            let slopes_of_x: Vec<(usize, f64)> = slopes(&x, inside, |x| value(x, &norm))
                .into_iter()
                .map(|(at, s)| (at / 44 * 40 + at % 44, s))
                .collect();
            agree(&d, &slopes_of_x, 1e-5, &format!("{kind:?}, {weights} weights"));

            let (mut weight, mut bias) = (vec![1.0; weights], vec![-1.0; weights]);
            norm_gradient(rows, columns, &norm, Rows::dense(&g, 40), &mut weight, Some(&mut bias));
            let narrow = |x: &[f64], start: f64| x.iter().map(|x| (x - start) as f32).collect::<Vec<_>>();
            let of_weight =
                slopes(&norm.weight, 0..weights, |w| value(&x, &NormWeights { weight: w.to_vec(), ..norm.clone() }));
            agree(&narrow(&weight, 1.0), &of_weight, 1e-6, &format!("weight, {kind:?}, {weights}"));
            let own = norm.bias.clone().unwrap();
            let of_bias =
                slopes(&own, 0..weights, |b| value(&x, &NormWeights { bias: Some(b.to_vec()), ..norm.clone() }));
            agree(&narrow(&bias, -1.0), &of_bias, 1e-6, &format!("bias, {kind:?}, {weights}"));
        }
    }
}

#[test]
fn of_whole_rows_are_added() {
    for cols in [1, 15, 16, 33, 100] {
        for kind in [NormKind::Rms, NormKind::Layer] {
            let (x, g) = (noise(1, 20 * cols, 2.0), noise(2, 20 * cols, 1.0));
            let norm = NormWeights { kind, epsilon: 0.1, weight: noise(3, cols, 2.0), bias: None };
            let mut dx = vec![0.5; x.len()];
            normalise_backward(&x, &norm, &g, &mut dx);
            dx.iter_mut().for_each(|d| *d -= 0.5);
            let slopes = slopes(&x, 0..x.len(), |x| {
                let rows = x.chunks(cols).zip(g.chunks(cols));
                rows.map(|(x, g)| weigh(g, &plain::norm(x, kind, 0.1, &norm.weight, None))).sum()
            });
            agree(&dx, &slopes, 3e-5, &format!("{cols} columns, {kind:?}"));
        }
    }
}
