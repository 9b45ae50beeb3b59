//! Rotary frequencies against the ones transformers' own modules rotate by (`tools/reference/rope.py`).

use serde_json::Value;
use tomo_checkpoint::Config;
use tomo_model::Model;

use crate::source::{Tensors, TestSource, fixtures};

/// Four roundings of f32: the powers of two libraries differ in the last place, and up to three operations follow.
const TOLERANCE: f64 = 2.4e-7;

fn cases() -> serde_json::Map<String, Value> {
    let text = std::fs::read(fixtures().join("golden/rope.json")).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    file["cases"].as_object().unwrap().clone()
}

/// A model of zeros with the case's tensors.
fn model(case: &Value) -> Model {
    let shape = |shape: &Value| shape.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>();
    let tensors = case["tensors"].as_object().unwrap().iter().map(|(name, value)| {
        let shape = shape(value);
        let zeros = vec![0.0; shape.iter().product::<u64>() as usize];
        (name.clone(), (shape, zeros))
    });
    TestSource::new(tensors.collect::<Tensors>(), Config::HuggingFace(case["config"].clone())).open().unwrap()
}

fn close(found: f32, expected: f64) -> bool {
    (f64::from(found) - expected).abs() <= TOLERANCE * expected.abs()
}

#[test]
fn every_setting_rotates_as_transformers_does() {
    let cases = cases();
    assert!(cases.len() >= 28, "only {} cases", cases.len());
    for (name, case) in &cases {
        let architecture = model(case).architecture().unwrap_or_else(|e| panic!("{name}: {e}"));
        for (length, expected) in case["lengths"].as_object().unwrap() {
            let expected = expected.as_array().unwrap();
            for (at, layer) in architecture.layers.iter().enumerate() {
                // smollm3 is alone in having layers that do not rotate, and its first two do.
                let rope = &architecture.ropes[layer.attention.rope.unwrap()];
                let (frequencies, attention) = rope.for_length(length.parse().unwrap());
                let expected = expected.get(at).unwrap_or(&expected[0]);
                let list = expected["frequencies"].as_array().unwrap();
                assert_eq!((frequencies.len(), rope.dims), (list.len(), 2 * list.len()), "{name}, {length}");
                for (i, (found, expected)) in frequencies.iter().zip(list).enumerate() {
                    let expected = expected.as_f64().unwrap();
                    assert!(close(*found, expected), "{name}, length {length}, {i}: {found} for {expected}");
                }
                let expected = expected["attention_factor"].as_f64().unwrap();
                assert!(close(attention, expected), "{name}, length {length}: {attention} for {expected}");
            }
        }
    }
}
