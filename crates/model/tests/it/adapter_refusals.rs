//! Adapters that are not what they say, or more than is understood.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tomo_checkpoint::{AdapterFiles, Config};
use tomo_model::{Adapter, ModelError};

use crate::adapters::Written;
use crate::source::{Fixture, TestSource, fixtures};

const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";

fn refusal(written: &Written) -> String {
    written.against_base().map(|changes| panic!("{changes:?}")).unwrap_err().to_string()
}

/// Config keys that would change what the factors mean: each is named.
#[test]
fn keys_that_change_the_arithmetic() {
    for (key, value, says) in [
        ("peft_type", json!("LOHA"), "\"LOHA\""),
        ("peft_type", json!(null), "nothing"),
        ("init_lora_weights", json!("pissa"), "changes the base weights"),
        ("init_lora_weights", json!("pissa_niter_16"), "pissa_niter_16"),
        ("init_lora_weights", json!("olora"), "path_initial_model_for_weight_conversion"),
        ("init_lora_weights", json!("corda"), "corda"),
        ("init_lora_weights", json!("loftq"), "loftq"),
        ("init_lora_weights", json!("lora_ga"), "lora_ga"),
        ("init_lora_weights", json!("something new"), "not known not to"),
        ("layer_replication", json!([[0, 2], [1, 3]]), "layers of the base are repeated"),
        ("megatron_config", json!({ "tensor_parallel": 2 }), "Megatron"),
        ("use_qalora", json!(true), "QA-LoRA"),
        ("use_bdlora", json!({ "nblocks": 2 }), "BD-LoRA"),
        ("kasa_config", json!({ "beta": 1 }), "KaSA"),
        ("arrow_config", json!({ "top_k": 3 }), "Arrow"),
        ("monteclora_config", json!({ "num_samples": 8 }), "MonteCLoRA"),
        ("alora_invocation_tokens", json!([1, 2]), "aLoRA"),
        ("enable_lora", json!([true, false]), "given up"),
        ("use_something_new", json!(true), "not understood"),
        ("use_something_new", json!(3), "not understood"),
        ("bias", json!("some"), "none, all, lora_only"),
        ("use_dora", json!("yes"), "true or false"),
        ("use_dora", json!(true), "magnitudes are missing"),
        ("use_rslora", json!(1), "true or false"),
        ("r", json!(0), "1 or more"),
        ("r", json!(-4), "1 or more"),
        ("r", json!("4"), "\"4\""),
        ("r", json!(null), "nothing"),
        ("r", json!(5), "5 rows"),
        ("lora_alpha", json!(null), "a finite number"),
        ("rank_pattern", json!({ "q_proj": "2" }), "rank_pattern: q_proj"),
        ("rank_pattern", json!({ "q_proj": 2 }), "2 rows"),
        ("rank_pattern", json!({ "(q_proj": 2 }), "a regular expression"),
        ("alpha_pattern", json!({ "q_proj": [1] }), "alpha_pattern: q_proj"),
        ("alpha_pattern", json!([1]), "an object from patterns to numbers"),
    ] {
        let mut written = Written::read("plain");
        written.config[key] = value.clone();
        let error = refusal(&written);
        assert!(error.contains(says), "{key} {value}: expected {says:?} in: {error}");
        let is_named = error.contains(&format!("{key:?}")) || error.contains(&format!("\"{key}:"));
        let is_of_tensors = error.contains("tensor: ") || error.contains("the whole file");
        assert!(is_named || is_of_tensors, "{key} {value}: {error}");
    }
}

/// What peft writes for a switch that is off, and what says only how the adapter was trained.
#[test]
fn keys_that_change_nothing() {
    let expected = Written::read("plain").against_base().unwrap();
    for (key, value) in [
        ("use_something_new", json!(null)),
        ("use_something_new", json!(false)),
        ("something_config", json!({})),
        ("layer_replication", json!([])),
        ("init_lora_weights", json!(false)),
        ("init_lora_weights", json!("gaussian")),
        ("init_lora_weights", json!("EVA")),
        ("init_lora_weights", json!("mica")),
        ("lora_dropout", json!(0.1)),
        ("fan_in_fan_out", json!(true)),
        ("eva_config", json!({ "rho": 2.0 })),
        ("velora_config", json!({ "scale": 2.0 })),
        ("rank_pattern", json!(null)),
        ("rank_pattern", json!({ "proj": 7, "^q_proj": 9 })),
    ] {
        let mut written = Written::read("plain");
        written.config[key] = value;
        let found = written.against_base().unwrap_or_else(|e| panic!("{key}: {e}"));
        assert_eq!(found.cells(), expected.cells(), "{key}");
    }
    let mut old = Written::read("plain");
    for key in ["use_dora", "use_rslora", "bias", "rank_pattern", "alpha_pattern", "init_lora_weights"] {
        old.config.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(old.against_base().unwrap().cells(), expected.cells());
}

/// A change of the adapter and what the message must contain.
type Case = (fn(&mut Written), &'static [&'static str]);

#[test]
fn tensors_that_do_not_fit() {
    let cases: &[Case] = &[
        (|w| drop(w.tensors.remove(&format!("{Q}.lora_B.weight"))), &["a factor is missing", "no lora_B", "q_proj"]),
        (|w| drop(w.tensors.remove(&format!("{Q}.lora_A.weight"))), &["a factor is missing", "no lora_A"]),
        (|w| put(w, "lora_A.weight", &[3, 36]), &["do not fit each other", "[3, 36] and [48, 4]"]),
        (|w| put(w, "lora_A.weight", &[4, 35]), &["L0.attn.q", "[48, 36]", "[48, 35]"]),
        (|w| put(w, "lora_B.weight", &[47, 4]), &["L0.attn.q", "[48, 36]", "[47, 36]"]),
        (|w| put(w, "lora_A.weight", &[144]), &["no matrix", "[144]"]),
        (|w| put(w, "lora_A.weight", &[0, 36]), &["no matrix", "[0, 36]"]),
        (|w| put(w, "lora_A.weight", &[4, 6, 6]), &["no matrix", "[4, 6, 6]"]),
        (|w| put(w, "lora_magnitude_vector", &[48]), &["use_dora is not true"]),
        (|w| put(w, "lora_E", &[4, 1]), &["a tensor that LoRA does not have", "lora_E"]),
        (
            |w| {
                w.tensors.retain(|name, _| !name.starts_with(Q));
                put(w, "lora_A.one.weight", &[4, 36]);
                put(w, "lora_B.other.weight", &[48, 4]);
            },
            &["several adapters", "\"one\" and \"other\""],
        ),
        (|w| put(w, "lora_A.one.weight", &[4, 36]), &["the same part of one module"]),
        (|w| put(w, "weight", &[48, 36]), &["L0.attn.q is changed twice"]),
        (
            |w| {
                let shape = |s: &[u64]| (s.to_vec(), vec![0.0; s.iter().product::<u64>() as usize]);
                let name = |part| format!("base_model.model.model.layers.3.self_attn.q_proj.lora_{part}.weight");
                w.tensors.insert(name("A"), shape(&[4, 36]));
                w.tensors.insert(name("B"), shape(&[48, 4]));
            },
            &["a module that the base has not", "3 layers", "layers.3"],
        ),
        (|w| w.tensors.clear(), &["changes nothing that could be shown"]),
        (
            |w| {
                let renamed = |(name, t): (&String, &_)| (name.replace("_proj", "_projection"), Clone::clone(t));
                w.tensors = w.tensors.iter().map(renamed).collect();
            },
            &["none of the adapter's modules is a cell of the base", "parity/llama", "--against"],
        ),
    ];
    for (change, expected) in cases {
        let mut written = Written::read("plain");
        change(&mut written);
        let error = refusal(&written);
        assert!(expected.iter().all(|part| error.contains(part)), "expected {expected:?} in: {error}");
    }
}

/// Puts a tensor of zeros beside, or in place of, a factor of q in layer 0.
fn put(written: &mut Written, tail: &str, shape: &[u64]) {
    let count: u64 = shape.iter().product();
    written.tensors.insert(format!("{Q}.{tail}"), (shape.to_vec(), vec![0.0; count as usize]));
}

#[test]
fn magnitudes_that_do_not_fit() {
    let mut written = Written::read("dora");
    put(&mut written, "lora_magnitude_vector", &[47]);
    let error = refusal(&written);
    assert!(error.contains("the magnitudes do not fit") && error.contains("48 values"), "{error}");
}

#[test]
fn another_base() {
    let adapter = Written::read("plain").open().unwrap();
    let against = |case: &str| adapter.against(&Fixture::read(case).source().open().unwrap()).unwrap_err().to_string();
    let error = against("mistral");
    assert!(error.contains("L0.attn.k") && error.contains("[20, 36]") && error.contains("[16, 36]"), "{error}");
    let error = against("gpt2");
    assert!(error.contains("none of the adapter's modules") && error.contains("c_attn"), "{error}");
}

/// Whatever is cut off or turned over in the configuration: an error or an adapter, never a panic.
#[test]
fn damaged_configurations() {
    let text = std::fs::read(fixtures().join("adapters/patterns/adapter_config.json")).unwrap();
    let source = Arc::new(TestSource::new(Written::read("patterns").tensors, Config::Absent));
    let base = Written::read("patterns").base().source().open().unwrap();
    let open = |config: Vec<u8>| -> Result<(), ModelError> {
        let files = AdapterFiles { config_path: PathBuf::new(), config, source: source.clone() };
        Arc::new(Adapter::open(&files)?).against(&base).map(drop)
    };
    open(text.clone()).unwrap();
    for end in 0..text.len() {
        assert!(open(text[..end].to_vec()).is_err() || end + 2 > text.len(), "cut at {end}");
    }
    for (at, byte) in (0..text.len()).zip([b'"', b'{', b'9', b'-', 0, 0xff].into_iter().cycle()) {
        let mut changed = text.clone();
        changed[at] = byte;
        let _ = open(changed);
    }
    let twice = String::from_utf8(text).unwrap().replacen('{', "{\"r\": 4,", 1);
    let error = open(twice.into_bytes()).unwrap_err().to_string();
    assert!(error.contains("\\\"r\\\" occurs twice"), "{error}");
}
