//! Checkpoints that are not what they say.

use serde_json::json;
use tomo_checkpoint::{Config, DType};

use crate::source::{Fixture, Tensors, TestSource};

fn refusal(source: TestSource) -> String {
    source.open().map(|model| panic!("{model:?}")).unwrap_err().to_string()
}

/// A change of the llama fixture and what the message must contain.
type Case = (fn(&mut Fixture), &'static [&'static str]);

#[test]
fn a_checkpoint_that_contradicts_its_config() {
    const UP: &str = "model.layers.1.mlp.up_proj.weight";
    let cases: &[Case] = &[
        (|f| f.config["intermediate_size"] = json!(53), &["L0.mlp.up", "[53, 36]", "[52, 36]", "up_proj"]),
        (|f| f.config["num_key_value_heads"] = json!(3), &["L0.attn.k", "[24, 36]", "[16, 36]"]),
        (|f| f.config["vocab_size"] = json!(62), &["token embedding", "[62, 36]", "[61, 36]"]),
        (
            |f| f.config["num_hidden_layers"] = json!(4),
            &["L3.attn.q is missing", "model.layers.3.self_attn.q_proj.weight"],
        ),
        (|f| f.config["num_hidden_layers"] = json!(2), &["beyond the 2 layers", "model.layers.2."]),
        (|f| f.config["num_hidden_layers"] = json!(u64::MAX), &["num_hidden_layers", "1 to 10000"]),
        (|f| f.config["num_hidden_layers"] = json!("three"), &["num_hidden_layers", "whole number", "three"]),
        (|f| f.config["num_hidden_layers"] = json!(0), &["num_hidden_layers", "1 to 10000"]),
        (|f| f.config["head_dim"] = json!(u64::MAX), &["heads x head dim", "size a tensor can have"]),
        (|f| f.config["hidden_size"] = json!(null), &["hidden_size", "nothing"]),
        (
            |f| drop(f.tensors.remove(UP)),
            &["L1.mlp.up is missing", UP, "model.layers.{}.mlp.up_proj.weight\" x2 [52, 36]"],
        ),
        (
            |f| {
                f.tensors.get_mut(UP).unwrap().0 = vec![36, 52];
            },
            &["L1.mlp.up", "[52, 36]", "[36, 52]", UP],
        ),
    ];
    for (change, expected) in cases {
        let mut fixture = Fixture::read("llama");
        change(&mut fixture);
        let error = refusal(fixture.source());
        assert!(expected.iter().all(|part| error.contains(part)), "expected {expected:?} in: {error}");
    }
}

#[test]
fn no_head_dim_and_heads_that_do_not_divide() {
    let mut fixture = Fixture::read("olmo2");
    fixture.config["num_attention_heads"] = json!(5);
    fixture.config.as_object_mut().unwrap().remove("head_dim");
    let error = refusal(fixture.source());
    assert!(error.contains("a divisor of the hidden size 36"), "{error}");
}

#[test]
fn experts_that_are_not_there_or_too_many() {
    let mut fixture = Fixture::read("mixtral");
    fixture.config["num_local_experts"] = json!(4);
    let error = refusal(fixture.source());
    assert!(error.contains("L0.mlp.up[3] is missing") && error.contains("experts.3.w3"), "{error}");
    fixture.config["num_local_experts"] = json!(2);
    let error = refusal(fixture.source());
    assert!(error.contains("beyond the 3 layers and 2 experts"), "{error}");
}

#[test]
fn a_shared_expert_is_refused_by_name() {
    let mut fixture = Fixture::read("qwen3_moe");
    let name = "model.layers.0.mlp.shared_expert.up_proj.weight";
    fixture.tensors.insert(name.to_owned(), (vec![12, 36], vec![0.0; 432]));
    let error = refusal(fixture.source());
    assert!(error.contains(name) && error.contains("every token uses"), "{error}");
}

/// Reading such a weight without its scale would give a wrong map.
#[test]
fn a_weight_whose_scale_is_stored_elsewhere() {
    for suffix in ["weight_scale", "weight_scale_inv", "weight.absmax", "scale"] {
        let mut fixture = Fixture::read("llama");
        let name = format!("model.layers.1.self_attn.o_proj.{suffix}");
        fixture.tensors.insert(name.clone(), (vec![1], vec![0.5]));
        let error = refusal(fixture.source());
        assert!(error.contains(&name) && error.contains("quantized"), "{error}");
    }
}

#[test]
fn integers_are_no_weights() {
    let name = "model.layers.0.mlp.gate_proj.weight";
    let error = refusal(Fixture::read("llama").source().with_dtype(name, DType::I8));
    assert!(error.contains(name) && error.contains("L0.mlp.gate is stored as I8"), "{error}");
}

#[test]
fn a_weight_that_a_quantizer_packed() {
    for (plain, packed) in [("weight", "qweight"), ("weight", "weight_packed")] {
        let mut fixture = Fixture::read("llama");
        let renamed = |name: &String| name.replace(&format!("proj.{plain}"), &format!("proj.{packed}"));
        fixture.tensors = fixture.tensors.iter().map(|(name, tensor)| (renamed(name), tensor.clone())).collect();
        let error = refusal(fixture.source());
        assert!(error.contains(&format!("layers.0.self_attn.q_proj.{packed}")) && error.contains("packed"), "{error}");
    }
}

#[test]
fn more_cells_than_any_model_has() {
    let mut tensors = Tensors::new();
    for layer in 0..60 {
        tensors.insert(format!("a.{layer}.w"), (vec![4096, 1, 1], vec![1.0; 4096]));
    }
    let error = TestSource::new(tensors.clone(), Config::Absent).open_with(&["mlp.up=a.{}.w"]).unwrap_err().to_string();
    assert!(error.contains("more than 200000 cells"), "{error}");
    tensors.retain(|name, _| name.len() < 6);
    assert_eq!(TestSource::new(tensors, Config::Absent).open_with(&["mlp.up=a.{}.w"]).unwrap().cells().len(), 40_960);
}

#[test]
fn tensors_nobody_claims_are_reported_not_refused() {
    let mut fixture = Fixture::read("llama");
    let name = "model.layers.0.self_attn.q_proj.lora_A.weight";
    fixture.tensors.insert(name.to_owned(), (vec![2, 36], vec![0.0; 72]));
    let model = fixture.source().open().unwrap();
    assert_eq!(model.unknown().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), [name]);
}

#[test]
fn an_unknown_family_lists_what_was_found() {
    let mut tensors = Tensors::new();
    for layer in 0..3 {
        tensors.insert(format!("trunk.{layer}.mix.weight"), (vec![4, 4], vec![0.0; 16]));
        tensors.insert(format!("trunk.{layer}.\u{1b}[31m\u{202e}<script>"), (vec![4], vec![0.0; 4]));
    }
    let config = json!({"model_type": "mamba\u{7}", "architectures": ["MambaForCausalLM"]});
    let error = refusal(TestSource::new(tensors.clone(), Config::HuggingFace(config)));
    for part in
        ["mamba", "MambaForCausalLM", "\"trunk.{}.mix.weight\" x3 [4, 4]", "--cell 'attn.q=layers.{}.wq.weight'"]
    {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!error.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{error:?}");
    let bare = refusal(TestSource::new(tensors, Config::Absent));
    assert!(bare.contains("no config") && bare.contains("x3 [4, 4]"), "{bare}");
}

#[test]
fn nothing_at_all() {
    for config in [Config::Absent, Config::HuggingFace(json!([])), Config::HuggingFace(json!({}))] {
        let error = refusal(TestSource::new(Tensors::new(), config));
        assert!(error.contains("unknown model family") && error.contains("0 tensor name patterns"), "{error}");
    }
    let error = refusal(TestSource::new(Tensors::new(), Config::Gguf([].into())));
    assert!(error.contains("general.architecture"), "{error}");
}

#[test]
fn hostile_layer_and_expert_numbers_cost_nothing() {
    let mut fixture = Fixture::read("llama");
    let tensor = fixture.tensors["model.layers.0.self_attn.q_proj.weight"].clone();
    fixture.tensors.insert("model.layers.4294967295.self_attn.q_proj.weight".to_owned(), tensor.clone());
    assert!(refusal(fixture.source()).contains("beyond the 3 layers"));
    assert!(refusal(fixture.bare_source()).contains("beyond 10000"));
    let mut tensors = Tensors::new();
    tensors.insert("a.4294967295.w".to_owned(), tensor);
    let error = TestSource::new(tensors, Config::Absent).open_with(&["attn.q=a.{}.w"]).unwrap_err().to_string();
    assert!(error.contains("a number no model has"), "{error}");
}
