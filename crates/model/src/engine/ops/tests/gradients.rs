//! Gradients against those of torch in float64: `fixtures/golden/ops.safetensors`, written by `tools/reference/ops.py`.

use super::reference::Reference;
use crate::architecture::{Activation, NormKind};
use crate::engine::Rows;
use crate::engine::ops::{
    Columns, Heads, NormWeights, RotaryTable, activate_backward, attention, attention_backward, clamp_backward,
    gate_backward, linear_backward, norm_gradient, normalise_backward, rotate_back, weight_gradient,
};

#[test]
fn of_attention() {
    let reference = Reference::read();
    let (heads, kv_heads, head_dim, stride) = (4, 2, 8, 64);
    let (all, g) = (reference.values("attention/rows"), reference.values("attention_backward/g"));
    let cases = reference.names("attention_backward/");
    assert_eq!(cases.len(), 8);
    for case in cases.iter().filter(|case| *case != "g") {
        let [tokens, window, softcap] = case.split('/').collect::<Vec<_>>()[..] else { panic!("{case}") };
        let (tokens, window): (usize, usize) = (tokens.parse().unwrap(), window.parse().unwrap());
        let softcap: f32 = softcap.parse().unwrap();
        let shape = Heads {
            heads,
            kv_heads,
            head_dim,
            scale: 0.35,
            softcap: (softcap > 0.0).then_some(softcap),
            window: (window > 0).then_some(window),
        };
        let values = &all[..tokens * stride];
        let [q, k, v] = [(0, 4), (4, 2), (6, 2)].map(|(from, n)| Rows::columns(values, stride, from * 8, n * 8));
        let mut out = vec![f32::NAN; tokens * heads * head_dim];
        attention(shape, q, k, v, &mut out);
        let (mut first, mut second) = (vec![f32::NAN; tokens * stride], vec![f32::NAN; tokens * stride]);
        let g = Rows::dense(&g[..out.len()], 32);
        let out = Rows::dense(&out, 32);
        attention_backward(shape, q, k, v, out, &[out, g], &mut [&mut first, &mut second]);
        let far = reference.distance(&second, &format!("attention_backward/{case}"));
        assert!(far < 2e-6, "{case}: {far:e}");
    }
}

#[test]
fn of_norms() {
    let reference = Reference::read();
    let (x, g) = (reference.values("norm/x"), reference.values("norm_backward/g"));
    let whole = Columns { stride: 37, first: 0, count: 1, width: 37 };
    for (kind, name) in [(NormKind::Rms, "rms"), (NormKind::Layer, "layer")] {
        let weight = reference.values("norm/weight");
        let norm = NormWeights { kind, epsilon: 1e-5, weight, bias: Some(reference.values("norm/bias")) };
        let mut dx = vec![0.0; x.len()];
        normalise_backward(&x, &norm, &g, &mut dx);
        let far = reference.distance(&dx, &format!("norm_backward/{name}/x"));
        assert!(far < 3e-7, "{name}: {far:e}");
        let (mut weight, mut bias) = (vec![0.0; 37], vec![0.0; 37]);
        let rows = |values| Rows::dense(values, 37);
        norm_gradient(rows(&x), whole, &norm, rows(&g), &mut weight, Some(&mut bias));
        let narrow = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<_>>();
        let far = reference.distance(&narrow(weight), &format!("norm_backward/{name}/weight"));
        assert!(far < 3e-7, "weight of {name}: {far:e}");
        if kind == NormKind::Layer {
            let far = reference.distance(&narrow(bias), "norm_backward/layer/bias");
            assert!(far < 3e-7, "bias: {far:e}");
        }
    }
}

#[test]
fn of_a_partial_rotation() {
    let reference = Reference::read();
    let mut g = reference.values("rotation_backward/g");
    let table = RotaryTable::from_frequencies(10, &reference.values("rotation/frequencies"), 1.0, 21);
    rotate_back(&mut g, Columns { stride: 28, first: 0, count: 2, width: 14 }, &table);
    let far = reference.distance(&g, "rotation_backward/x");
    assert!(far < 2e-7, "{far:e}");
}

#[test]
fn of_a_clamp_at_its_limits_and_beyond() {
    let reference = Reference::read();
    let (x, mut g) = (reference.values("clamp/x"), reference.values("clamp_backward/g"));
    clamp_backward(Rows::dense(&x, 12), 1.5, &mut g);
    let expected = reference.values("clamp_backward/x");
    assert!(x[30] == 1.5 && x[31] == -1.5 && x[33].is_nan() && expected[32] != 0.0);
    assert_eq!(g, expected);
}

#[test]
fn of_activations() {
    let reference = Reference::read();
    let x = reference.values("activation/x");
    for (activation, name) in [
        (Activation::Silu, "silu"),
        (Activation::Gelu, "gelu"),
        (Activation::GeluTanh, "gelu_pytorch_tanh"),
        (Activation::Relu, "relu"),
        (Activation::ReluSquared, "relu2"),
    ] {
        let mut out = vec![f32::NAN; x.len()];
        activate_backward(&x, activation, &vec![1.0; x.len()], &mut out);
        for ((x, out), expected) in x.iter().zip(&out).zip(reference.wide(&format!("activation_backward/{name}"))) {
            let off = (f64::from(*out) - expected).abs();
            assert!(off <= 1e-6 * expected.abs() + 1e-6, "{name} at {x}: {out} instead of {expected}");
        }
    }
    let (rows, g) = (reference.values("gate/rows"), reference.values("gate_backward/g"));
    for (activation, name) in [(Activation::Silu, "silu"), (Activation::GeluTanh, "gelu_pytorch_tanh")] {
        let mut out = vec![f32::NAN; 3 * 82];
        gate_backward(&rows, activation, 41, &g, &mut out);
        let far = reference.distance(&out, &format!("gate_backward/{name}"));
        assert!(far < 5e-7, "gate by {name}: {far:e}");
    }
}

#[test]
fn of_a_product() {
    let reference = Reference::read();
    let [x, weight] = ["x", "weight"].map(|name| reference.values(&format!("linear/{name}")));
    let g = reference.values("linear_backward/g");
    let mut dx = vec![f32::NAN; x.len()];
    linear_backward(Rows::dense(&g, 19), &weight, false, &mut dx);
    let far = reference.distance(&dx, "linear_backward/x");
    assert!(far < 1e-6, "{far:e}");
    let mut dw = vec![f32::NAN; weight.len()];
    weight_gradient(Rows::dense(&g, 19), Rows::dense(&x, 33), false, &mut dw);
    let far = reference.distance(&dw, "linear_backward/weight");
    assert!(far < 1e-6, "{far:e}");
}
