//! What must not be run on a guess: every refusal names its key or tensor.

use serde_json::{Value, json};
use tomo_checkpoint::{Config, DType, MetaValue};
use tomo_model::ModelError;
use tomo_model::architecture::Architecture;

use crate::source::{Fixture, Tensors, TestSource};

fn resolved(fixture: &Fixture, ignored: &[&str]) -> Result<Architecture, ModelError> {
    let ignored: Vec<_> = ignored.iter().map(|key| (*key).to_owned()).collect();
    fixture.source().open().unwrap().architecture_ignoring(&ignored)
}

fn refused(fixture: &Fixture) -> String {
    match resolved(fixture, &[]) {
        Ok(_) => panic!("{} was accepted: {}", fixture.case, fixture.config),
        Err(error) => error.to_string(),
    }
}

/// `case` with `key` set, where dots lead into objects.
fn with(case: &str, key: &str, value: Value) -> Fixture {
    let mut fixture = Fixture::read(case);
    let mut at = &mut fixture.config;
    for part in key.split('.') {
        at = &mut at[part];
    }
    *at = value;
    fixture
}

#[test]
fn a_key_that_nobody_knows() {
    for (case, key, value) in [
        ("llama", "residual_gate", json!(0.5)),
        ("llama", "attention_multiplier", json!(0.125)),
        ("llama", "sliding_window", json!(4)),
        ("llama", "layer_types", json!(["full_attention", "full_attention", "full_attention"])),
        ("llama", "quantization_config", json!({"quant_method": "gptq"})),
        ("gemma3", "attn_logit_softcapping", json!(50.0)),
        ("gpt2", "rope_theta", json!(10000.0)),
        ("gpt_neox", "rope_theta", json!(10000.0)),
        ("olmo2", "sliding_window", json!(5)),
        ("mixtral", "num_shared_experts", json!(1)),
        ("granite", "attention_sinks", json!(true)),
    ] {
        let fixture = with(case, key, value);
        let error = refused(&fixture);
        assert!(error.contains(&format!("{key:?}")), "{case} {key}: {error}");
        assert!(error.contains("not understood") && error.contains("--ignore-config-key"), "{case}: {error}");
        let ignored = resolved(&fixture, &[key]).unwrap();
        assert_eq!(ignored, resolved(&Fixture::read(case), &[]).unwrap(), "{case} {key}");
    }
}

#[test]
fn a_key_that_means_nothing_at_one_value() {
    for (case, key, neutral, other) in [
        ("llama", "partial_rotary_factor", json!(1.0), json!(0.5)),
        ("llama", "use_sliding_window", json!(false), json!(true)),
        ("gemma", "use_bidirectional_attention", json!(false), json!(true)),
        ("phi3", "lm_head_bias", json!(false), json!(true)),
        ("phi3", "full_attn_mod", json!(1), json!(2)),
        ("starcoder2", "norm_type", json!("layer_norm"), json!("rms_norm")),
        ("gpt2", "add_cross_attention", json!(false), json!(true)),
        ("gemma2", "hidden_act", json!("gelu_pytorch_tanh"), json!("silu")),
        ("qwen2", "pruned_heads", json!({}), json!({"0": [1]})),
    ] {
        let plain = resolved(&Fixture::read(case), &[]).unwrap();
        assert_eq!(resolved(&with(case, key, neutral), &[]).unwrap(), plain, "{case} {key}");
        assert_eq!(resolved(&with(case, key, Value::Null), &[]).unwrap(), plain, "{case} {key}");
        let error = refused(&with(case, key, other));
        assert!(error.contains(&format!("{key:?}")) && error.contains("understood when it is"), "{case}: {error}");
    }
}

#[test]
fn keys_that_change_nothing_are_many() {
    for key in
        ["bos_token_id", "torch_dtype", "attention_dropout", "auto_map", "temperature", "pretraining_tp", "id2label"]
    {
        assert!(resolved(&with("llama", key, json!(2)), &[]).is_ok(), "{key}");
    }
}

#[test]
fn rope_settings_that_nobody_knows() {
    for (case, key, value) in [
        ("llama", "rope_parameters.mrope_section", json!([2, 1, 1])),
        ("llama", "rope_parameters.rope_type", json!("proportional")),
        ("llama", "rope_parameters.rope_theta", json!(0.5)),
        ("llama", "rope_parameters.rope_theta", json!("big")),
        ("llama", "rope_parameters.factor", json!(0)),
        ("llama", "rope_parameters.factor", Value::Null),
        ("llama", "rope_parameters.high_freq_factor", json!(0.5)),
        ("llama", "rope_parameters.partial_rotary_factor", json!(0.5)),
        ("llama", "rope_parameters.original_max_position_embeddings", json!(0)),
        ("llama", "rope_parameters.full_attention", json!({"rope_theta": 10000.0})),
        ("phi3", "rope_parameters.short_factor", json!([1.0, 2.0])),
        ("phi3", "rope_parameters.long_factor", json!([1.0, 2.0, -1.0])),
        ("gemma3", "rope_parameters.chunked_attention", json!({"rope_theta": 10000.0})),
        ("gemma3", "rope_parameters.full_attention.rope_type", json!(7)),
        ("qwen2", "rope_parameters.beta_fast", json!(32)),
    ] {
        let error = refused(&with(case, key, value));
        assert!(error.contains(&format!("{key:?}")), "{case} {key}: {error}");
    }
    let fixture = with("llama", "rope_parameters.note", json!("trained on"));
    assert!(resolved(&fixture, &["rope_parameters.note"]).is_ok());
    let error = refused(&with("stablelm", "rope_parameters.partial_rotary_factor", json!(0.4)));
    assert!(error.contains("even number of rotating dims"), "{error}");
}

#[test]
fn values_that_no_model_has() {
    for (case, key, value) in [
        ("llama", "rms_norm_eps", json!(0.0)),
        ("llama", "rms_norm_eps", json!(-1e-6)),
        ("llama", "rms_norm_eps", json!(1e39)),
        ("llama", "rms_norm_eps", json!("small")),
        ("llama", "hidden_act", json!("quick_gelu")),
        ("llama", "attention_bias", json!("yes")),
        ("mistral", "sliding_window", json!(0)),
        ("mistral", "sliding_window", json!(2.5)),
        ("gemma2", "query_pre_attn_scalar", json!(-9)),
        ("gemma2", "attn_logit_softcapping", json!(0.0)),
        ("gemma2", "layer_types", json!(["sliding_attention"])),
        ("gemma2", "layer_types", json!(["sliding_attention", "chunked_attention", "full_attention"])),
        ("gemma2", "sliding_window", Value::Null),
        ("qwen2", "use_sliding_window", json!(false)),
        ("granite", "logits_scaling", json!(0)),
        ("granite", "residual_multiplier", json!(-1.0)),
        ("mixtral", "num_experts_per_tok", json!(4)),
        ("mixtral", "num_experts_per_tok", json!(0)),
        ("smollm3", "no_rope_layers", json!([1, 0])),
        ("smollm3", "no_rope_layers", json!([1, 0, 2])),
        ("olmoe", "clip_qkv", json!(-1.0)),
        ("llama", "max_position_embeddings", json!(0)),
    ] {
        let error = refused(&with(case, key, value));
        let named = if key == "sliding_window" && case == "gemma2" || key == "use_sliding_window" {
            "layer_types"
        } else {
            key
        };
        assert!(error.contains(named) && error.contains("expected: "), "{case} {key}: {error}");
    }
}

#[test]
fn key_value_heads_divide_the_heads() {
    // 6 heads of 8, 4 key-value heads: shapes that fit, sharing that does not.
    let mut fixture = with("llama", "num_key_value_heads", json!(4));
    for (name, (shape, values)) in &mut fixture.tensors {
        if [".k_proj.", ".v_proj."].iter().any(|part| name.contains(part)) {
            shape[0] = 32;
            values.resize(shape.iter().product::<u64>() as usize, 0.1);
        }
    }
    let error = refused(&fixture);
    assert!(error.contains("a divisor of the 6 query heads"), "{error}");
}

#[test]
fn tensors_that_contradict_the_config() {
    let without = |case: &str, name: &str| {
        let mut fixture = Fixture::read(case);
        fixture.tensors.remove(name).unwrap_or_else(|| panic!("{case} has no {name}"));
        fixture
    };
    let and = |mut fixture: Fixture, name: &str, shape: &[u64]| {
        let values = vec![0.5; shape.iter().product::<u64>() as usize];
        fixture.tensors.insert(name.to_owned(), (shape.to_vec(), values));
        fixture
    };
    let bias = "model.layers.1.self_attn.q_proj.bias";
    for (fixture, named) in [
        (without("llama", "model.layers.1.input_layernorm.weight"), "model.layers.1.input_layernorm.weight"),
        (without("llama", "model.norm.weight"), "model.norm.weight"),
        (without("llama", "model.embed_tokens.weight"), "model.embed_tokens.weight"),
        (without("llama", bias), bias),
        (without("gpt2", "transformer.wpe.weight"), "transformer.wpe.weight"),
        (without("gpt2", "transformer.h.0.ln_2.bias"), "transformer.h.0.ln_2"),
        (without("qwen3", "model.layers.2.self_attn.k_norm.weight"), "model.layers.2.self_attn.k_norm.weight"),
        (without("stablelm", "model.layers.0.self_attn.q_layernorm.norms.3.weight"), "q_layernorm.norms.3.weight"),
        (
            without("mixtral", "model.layers.2.block_sparse_moe.gate.weight"),
            "model.layers.2.block_sparse_moe.gate.weight",
        ),
        (with("llama", "attention_bias", json!(false)), "model.layers.0.self_attn"),
        (with("stablelm", "qk_layernorm", json!(false)), "model.layers.0.self_attn.q_layernorm.norms.0.weight"),
        (with("stablelm", "use_parallel_residual", json!(true)), "model.layers.0.post_attention_layernorm.weight"),
        (
            with("stablelm_parallel", "use_parallel_residual", json!(false)),
            "model.layers.0.post_attention_layernorm.weight",
        ),
        (and(Fixture::read("qwen2"), "model.layers.0.mlp.up_proj.bias", &[52]), "model.layers.0.mlp.up_proj.bias"),
        (and(Fixture::read("llama"), bias, &[47]), bias),
        (and(Fixture::read("llama"), "model.layers.0.input_layernorm.weight", &[35]), "input_layernorm.weight"),
        (and(Fixture::read("qwen3"), "model.layers.0.self_attn.q_norm.weight", &[9]), "q_norm.weight"),
        (and(Fixture::read("mixtral"), "model.layers.0.block_sparse_moe.gate.weight", &[4, 36]), "gate.weight"),
        (and(Fixture::read("gpt2"), "transformer.wpe.weight", &[64, 35]), "transformer.wpe.weight"),
        (and(Fixture::read("llama"), "lm_head.weight", &[60, 36]), "lm_head.weight"),
        (and(Fixture::read("llama"), "model.layers.0.self_attn.sinks", &[6]), "model.layers.0.self_attn.sinks"),
    ] {
        let error = refused(&fixture);
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn without_a_head_the_config_must_say_that_the_embedding_is_it() {
    let mut fixture = Fixture::read("llama");
    fixture.tensors.remove("lm_head.weight");
    let error = refused(&fixture);
    assert!(error.contains("no output head") && error.contains("cannot be run"), "{error}");
    fixture.config["tie_word_embeddings"] = json!(true);
    assert_eq!(resolved(&fixture, &[]).unwrap().head.tensor, "model.embed_tokens.weight");
    // A classifier's head is none: it has no row per token.
    fixture.tensors.insert("score.weight".to_owned(), (vec![2, 36], vec![0.0; 72]));
    assert_eq!(resolved(&fixture, &[]).unwrap().head.tensor, "model.embed_tokens.weight");
}

#[test]
fn nothing_is_guessed_without_a_config() {
    let error = Fixture::read("llama").bare_source().open().unwrap().architecture().unwrap_err().to_string();
    assert!(error.contains("no config") && error.contains("cannot be run"), "{error}");
    let tensors = Tensors::from([("w.0".to_owned(), (vec![2, 2], vec![1.0; 4]))]);
    let model = TestSource::new(tensors, Config::Absent).open_with(&["attn.q=w.{}"]).unwrap();
    let error = model.architecture().unwrap_err().to_string();
    assert!(error.contains("family is not known"), "{error}");
}

#[test]
fn integers_are_no_norms() {
    let name = "model.layers.0.input_layernorm.weight";
    let model = Fixture::read("llama").source().with_dtype(name, DType::I32).open().unwrap();
    let error = model.architecture().unwrap_err().to_string();
    assert!(error.contains(name) && error.contains("integers"), "{error}");
}

/// GGUF: keys below the architecture's name, and tensors of rotary factors.
#[test]
fn gguf_keys_and_tensors_that_nobody_knows() {
    let open = |key: &str, value: MetaValue, extra: Option<(&str, Vec<f32>)>| {
        let fixture = Fixture::read("qwen2");
        let mut tensors = crate::gguf::tensors_of(&fixture, "qwen2", true);
        tensors.extend(extra.map(|(name, values)| (name.to_owned(), (vec![values.len() as u64], values))));
        let mut metadata = crate::gguf::metadata_of(&fixture, "qwen2");
        metadata.insert("qwen2.attention.layer_norm_rms_epsilon".to_owned(), MetaValue::Float(1e-6));
        metadata.insert(key.to_owned(), value);
        TestSource::new(tensors, Config::Gguf(metadata)).open().unwrap().architecture()
    };
    let number = MetaValue::Unsigned;
    let text = |text: &str| MetaValue::Text(text.to_owned());
    assert!(open("general.name", text("x"), None).is_ok());
    assert!(open("qwen2.attention.sliding_window", number(0), None).is_ok());
    assert!(open("qwen2.rope.scaling.finetuned", MetaValue::Bool(true), None).is_ok());
    assert!(open("qwen2.rope.scaling.type", text("none"), None).is_ok());
    for (key, value) in [
        ("qwen2.attention.sliding_window", number(4096)),
        ("qwen2.attention.causal", MetaValue::Bool(false)),
        ("qwen2.attention.value_length", number(5)),
        ("qwen2.attention.scale", MetaValue::Float(0.1)),
        ("qwen2.rope.scaling.yarn_log_multiplier", MetaValue::Float(0.1)),
        ("qwen2.rope.scaling.type", text("mrope")),
        ("qwen2.rope.scaling.type", text("yarn")),
        ("qwen2.rope.dimension_count", number(7)),
        ("qwen2.rope.freq_base", MetaValue::Float(f64::NAN)),
        ("qwen2.rope.freq_base", text("big")),
        ("qwen2.logit_scale", MetaValue::Float(2.0)),
    ] {
        let error = open(key, value, None).unwrap_err().to_string();
        let named = if key.ends_with("scaling.type") { "qwen2.rope.scaling" } else { key };
        assert!(error.contains(named), "{key}: {error}");
    }
    let factors = |name, values| open("general.name", text("x"), Some((name, values)));
    assert!(factors("rope_freqs.weight", vec![1.0, 1.5, 8.0]).is_ok());
    for (name, values) in [
        ("rope_freqs.weight", vec![1.0, 1.5]),
        ("rope_freqs.weight", vec![1.0, 0.0, 8.0]),
        ("rope_freqs.weight", vec![1.0, f32::NAN, 8.0]),
    ] {
        let error = factors(name, values).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
    // One of a pair.
    assert!(factors("rope_factors_long.weight", vec![1.0, 1.5, 8.0]).is_err());
}

#[test]
fn rotary_factors_in_a_family_that_does_not_rotate() {
    let names = Fixture::read("gpt2");
    let mut tensors = crate::gguf::tensors_of(&names, "gpt2", true);
    tensors.insert("rope_freqs.weight".to_owned(), (vec![3], vec![1.0; 3]));
    let mut metadata = crate::gguf::metadata_of(&names, "gpt2");
    metadata.insert("gpt2.attention.layer_norm_epsilon".to_owned(), MetaValue::Float(1e-5));
    metadata.remove("gpt2.attention.key_length");
    let error =
        TestSource::new(tensors, Config::Gguf(metadata)).open().unwrap().architecture().unwrap_err().to_string();
    assert!(error.contains("rope_freqs.weight"), "{error}");
}
