//! The metrics that sweep the entries, against numpy and scipy in float64 and the packages named in `fixtures/quant`.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;
use tomo_map::{Score, Status};
use tomo_metrics::{Facts, METRICS, Matrix, Options};
use tomo_testkit::{Within, assert_close};

fn score(id: &str, values: &[f32], cols: usize, options: &Options) -> Score {
    let metric = METRICS.iter().find(|metric| metric.info.id == id).unwrap();
    let facts = Facts::new(Matrix { rows: values.len() / cols, cols, values });
    metric.kind.score(&facts, options).unwrap_or_else(|| panic!("{id} does not read weights alone"))
}

fn fixture(name: &str) -> Vec<u8> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/quant");
    std::fs::read(folder.join(name)).unwrap()
}

/// Calls `check` with the name, the weights and the number of columns of every matrix of the fixture.
fn for_each_case(mut check: impl FnMut(&str, &[f32], usize, &Value)) {
    let bytes = fixture("reference.safetensors");
    let about: Value = serde_json::from_slice(&fixture("reference.json")).unwrap();
    for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
        let Some(case) = name.strip_prefix("in/") else { continue };
        let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        check(case, &values, view.shape()[1], &about);
    }
}

#[test]
fn moments_are_numpys() {
    let mut cases = 0;
    for_each_case(|case, values, cols, about| {
        cases += 1;
        for id in ["rms", "mean-abs", "kurtosis", "outlier-share"] {
            let found = score(id, values, cols, &Options::default()).value().unwrap();
            let expected = about["moments"][case][id].as_f64().unwrap();
            // A kurtosis near 0 is a difference of numbers near 3.
            let scale = if id == "kurtosis" { expected.abs().max(3.0) } else { expected };
            assert_close(found, expected, Within::Absolute(1e-9 * scale));
        }
    });
    assert!(cases >= 10);
}

#[test]
fn errors_are_those_of_the_reference_packages() {
    for_each_case(|case, values, cols, about| {
        for format in ["int4", "int3", "int2", "nf4", "q4_0", "nvfp4", "mxfp4", "fp8"] {
            let found = score(&format!("err-{format}"), values, cols, &Options::default()).value().unwrap();
            let expected = about["errors"][format][case].as_f64().unwrap();
            assert_close(found, expected, Within::Relative(1e-9));
        }
    });
}

#[test]
fn the_group_size_reaches_the_integers_only() {
    let values: Vec<f32> = (0..512).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0 * (1.0 + (i / 64) as f32)).collect();
    let with_group =
        |id: &str, group| score(id, &values, 256, &Options { group, ..Options::default() }).value().unwrap();
    assert!(with_group("err-int4", 32) < with_group("err-int4", 256));
    assert_eq!(with_group("err-nf4", 32).to_bits(), with_group("err-nf4", 256).to_bits());
    let refused = score("err-int4", &values, 256, &Options { group: 0, ..Options::default() });
    assert_eq!(refused.status(), Status::NotApplicable);
}

#[test]
fn a_mean_far_from_zero_does_not_spoil_the_kurtosis() {
    // Half the entries at 1000 - d, half at 1000 + d: m4 = d^4 and m2 = d^2, so the excess is 1 - 3.
    let values: Vec<f32> = (0..1000).map(|i| if i % 2 == 0 { 1000.0 - 0.0625 } else { 1000.0 + 0.0625 }).collect();
    let kurtosis = score("kurtosis", &values, 10, &Options::default()).value().unwrap();
    assert_close(kurtosis, -2.0, Within::Absolute(1e-9));
}

#[test]
fn matrices_without_an_answer_say_so() {
    let linear = |metric: &&&tomo_metrics::Metric| ["weights", "error"].contains(&metric.info.family.as_ref());
    for metric in METRICS.iter().filter(linear) {
        let id = metric.info.id.as_ref();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = [0.5_f32; 40];
            values[11] = bad;
            assert_eq!(score(id, &values, 20, &Options::default()).status(), Status::Undefined, "{id} with {bad}");
        }
        assert_eq!(score(id, &[], 20, &Options::default()).status(), Status::Undefined, "{id} of nothing");
    }
    for (id, expected) in [("rms", Some(0.0)), ("mean-abs", Some(0.0)), ("kurtosis", None), ("err-int4", None)] {
        assert_eq!(score(id, &[0.0; 40], 20, &Options::default()).value(), expected, "{id} of zeros");
    }
    assert_eq!(score("kurtosis", &[0.1; 40], 20, &Options::default()).status(), Status::Undefined, "all equal");
}
