//! Against torch and transformers in float64: `fixtures/golden/ops.safetensors`, written by `tools/reference/ops.py`.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::distance;
use crate::architecture::{Activation, NormKind};
use crate::engine::Rows;
use crate::engine::ops::{
    Columns, CrossEntropy, HeadRows, Heads, NormWeights, RotaryTable, activate, attention, gate, linear, normalise,
    rotate,
};

pub(super) struct Reference(Vec<u8>);

impl Reference {
    pub(super) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/ops.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    pub(super) fn bytes<const N: usize>(&self, name: &str, dtype: Dtype) -> Vec<[u8; N]> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), dtype, "{name}");
        tensor.data().as_chunks::<N>().0.to_vec()
    }

    pub(super) fn values(&self, name: &str) -> Vec<f32> {
        self.bytes(name, Dtype::F32).into_iter().map(f32::from_le_bytes).collect()
    }

    pub(super) fn wide(&self, name: &str) -> Vec<f64> {
        self.values(name).into_iter().map(f64::from).collect()
    }

    /// The names of tensors that begin with `prefix`, without it.
    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        file.names().into_iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    /// The largest difference from the tensor `name`, relative to its largest value.
    pub(super) fn distance(&self, found: &[f32], name: &str) -> f64 {
        distance(found, &self.wide(name))
    }
}

#[test]
fn attention_is_what_torch_makes_of_it() {
    let reference = Reference::read();
    let values = reference.values("attention/rows");
    let (heads, kv_heads, head_dim, stride) = (4, 2, 8, 64);
    let cases = SafeTensors::deserialize(&reference.0).unwrap();
    let cases: Vec<&str> = cases.names().into_iter().filter_map(|name| name.strip_prefix("attention/")).collect();
    assert_eq!(cases.len(), 11);
    for case in cases.into_iter().filter(|case| *case != "rows") {
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
        let part = |first, count| Rows::columns(&values[..tokens * stride], stride, first * head_dim, count * head_dim);
        let mut out = vec![f32::NAN; tokens * heads * head_dim];
        attention(shape, part(0, heads), part(heads, kv_heads), part(heads + kv_heads, kv_heads), &mut out);
        let far = reference.distance(&out, &format!("attention/{case}"));
        assert!(far < 1e-6, "{case}: {far:e}");
    }
}

#[test]
fn norms_are_what_torch_makes_of_them() {
    let reference = Reference::read();
    let x = reference.values("norm/x");
    for (kind, bias, name) in
        [(NormKind::Rms, None, "norm/rms"), (NormKind::Layer, Some(reference.values("norm/bias")), "norm/layer")]
    {
        let norm = NormWeights { kind, epsilon: 1e-5, weight: reference.values("norm/weight"), bias };
        let mut out = vec![f32::NAN; x.len()];
        normalise(&x, &norm, &mut out);
        let far = reference.distance(&out, name);
        assert!(far < 2e-7, "{name}: {far:e}");
    }
}

#[test]
fn a_partial_rotation_is_what_transformers_makes_of_it() {
    let reference = Reference::read();
    let mut heads = reference.values("rotation/x");
    let table = RotaryTable::from_frequencies(10, &reference.values("rotation/frequencies"), 1.0, 21);
    rotate(&mut heads, Columns { stride: 28, first: 0, count: 2, width: 14 }, &table);
    let far = reference.distance(&heads, "rotation/out");
    assert!(far < 2e-7, "{far:e}");
}

#[test]
fn activations_are_what_transformers_makes_of_them() {
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
        activate(&x, activation, &mut out);
        for ((x, out), expected) in x.iter().zip(&out).zip(reference.wide(&format!("activation/{name}"))) {
            let off = (f64::from(*out) - expected).abs();
            assert!(off <= 1e-6 * expected.abs() + 1e-6, "{name} of {x}: {out} instead of {expected}");
        }
    }
    let mut gated = vec![f32::NAN; 3 * 41];
    gate(&reference.values("gate/rows"), Activation::Silu, 41, &mut gated);
    assert!(reference.distance(&gated, "gate/silu") < 3e-7);
}

#[test]
fn a_product_is_what_torch_makes_of_it() {
    let reference = Reference::read();
    let [x, weight, bias] = ["x", "weight", "bias"].map(|name| reference.values(&format!("linear/{name}")));
    let mut out = vec![f32::NAN; 7 * 19];
    linear(Rows::dense(&x, 33), &weight, Some(&bias), &mut out);
    let far = reference.distance(&out, "linear/out");
    assert!(far < 1e-6, "{far:e}");
}

#[test]
fn losses_are_what_torch_makes_of_them() {
    let reference = Reference::read();
    let (vocab, hidden) = (301, 12);
    let targets = || reference.bytes("loss/targets", Dtype::I32).into_iter().map(u32::from_le_bytes);
    let check = |found: &[f64], name: &str| {
        let expected: Vec<f64> = reference.bytes(name, Dtype::F64).into_iter().map(f64::from_le_bytes).collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{name}: {found} instead of {expected}");
        }
    };
    let logits = reference.values("loss/logits");
    for width in [1, 13, 50, 301] {
        let mut loss = CrossEntropy::new(targets());
        for first in (0..vocab).step_by(width) {
            let width = width.min(vocab - first);
            let tile: Vec<f32> = logits.chunks(vocab).flat_map(|row| row[first..first + width].to_vec()).collect();
            loss.tile(0, first, width, &tile);
        }
        check(&loss.finish(), "loss/of_logits");
    }
    let (x, weights) = (reference.values("loss/hidden"), reference.values("loss/weight"));
    let mut loss = CrossEntropy::new(targets());
    for (part, weights) in weights.chunks(100 * hidden).enumerate() {
        let head = HeadRows { weights, bias: None, scale: 0.5, softcap: Some(5.0) };
        loss.head(0, 100 * part, Rows::dense(&x, hidden), head);
    }
    check(&loss.finish(), "loss/of_head");
}
