//! Element by element against the matrices that `tools/reference/quant.py` had rounded by other packages.

use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::Value;
use tomo_quant::{FORMATS, Matrix};

use crate::rounded;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/quant").join(name)).unwrap()
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> (Vec<f32>, usize) {
    let view = tensors.tensor(name).unwrap();
    let values = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    (values, view.shape()[1])
}

#[test]
fn every_format_rounds_as_its_reference_does() {
    let bytes = fixture("reference.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let about: Value = serde_json::from_slice(&fixture("reference.json")).unwrap();
    let group = about["group"].as_u64().unwrap() as usize;
    let cases: Vec<&str> = tensors.names().into_iter().filter_map(|name| name.strip_prefix("in/")).collect();
    assert!(cases.len() >= 10);
    let mut wrong = Vec::new();
    // The others go through the codecs of tomo-blocks, which are held against llama.cpp's bytes there.
    for format in FORMATS.iter().filter(|format| format.stored().is_none()) {
        for case in &cases {
            let (weights, cols) = floats(&tensors, &format!("in/{case}"));
            let (expected, _) = floats(&tensors, &format!("{}/{case}", format.id));
            let found = rounded(format, &weights, cols, group);
            let differing: Vec<usize> = (0..found.len()).filter(|i| found[*i] != expected[*i]).collect();
            if let Some(i) = differing.first().copied() {
                let (w, f, e) = (weights[i], found[i], expected[i]);
                wrong.push(format!(
                    "{}/{case}: {} differ, [{i}] {w:e} -> {f:e}, not {e:e}",
                    format.id,
                    differing.len()
                ));
            }

            let error = format.error(&Matrix::new(&weights, cols, group).unwrap()).relative();
            let expected = about["errors"][format.id][case].as_f64().unwrap();
            let close = (error - expected).abs() <= 1e-9 * expected;
            if !close {
                wrong.push(format!("{}/{case}: error {error}, not {expected}", format.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
