//! The same models as llama.cpp's converters write them: metadata by `conversion/*.py`, tensors as in `gguf.rs`.
//!
//! Converters drop settings that no released member of a family has; `as_converted` says which, per case, and takes them
//! out of the config that the metadata is compared with.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tomo_checkpoint::{Config, MetaValue};
use tomo_model::architecture::{Architecture, Norm, Rope};

use crate::gguf::tensors_of;
use crate::source::{Fixture, Tensors, TestSource};

type Metadata = BTreeMap<String, MetaValue>;

/// Metadata below the name of an architecture. Floats are f32 in the file.
struct Writer {
    arch: String,
    out: Metadata,
}

impl Writer {
    fn new(arch: &str) -> Self {
        let out = Metadata::from([("general.architecture".to_owned(), MetaValue::Text(arch.to_owned()))]);
        Self { arch: arch.to_owned(), out }
    }

    fn set(&mut self, key: &str, value: MetaValue) {
        self.out.insert(format!("{}.{key}", self.arch), value);
    }

    fn float(&mut self, key: &str, value: &Value) {
        if let Some(x) = value.as_f64() {
            self.set(key, MetaValue::Float(f64::from(x as f32)));
        }
    }

    fn whole(&mut self, key: &str, value: &Value) {
        if let Some(n) = value.as_u64() {
            self.set(key, MetaValue::Unsigned(n));
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.set(key, MetaValue::Text(value.to_owned()));
    }
}

/// What `TextModel.set_gguf_parameters` writes for every architecture that calls it.
fn base(w: &mut Writer, c: &Value) {
    for (key, name) in [
        ("block_count", "num_hidden_layers"),
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("expert_count", "num_local_experts"),
        ("expert_count", "num_experts"),
        ("expert_used_count", "num_experts_per_tok"),
        ("attention.key_length", "head_dim"),
        ("attention.value_length", "head_dim"),
    ] {
        w.whole(key, &c[name]);
    }
    for (key, name) in [
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("attention.layer_norm_epsilon", "layer_norm_eps"),
        ("attention.layer_norm_epsilon", "norm_epsilon"),
    ] {
        w.float(key, &c[name]);
    }
    let ropes = &c["rope_parameters"];
    let rope = ropes.get("full_attention").unwrap_or(ropes);
    if rope["rope_type"] == "linear" {
        w.text("rope.scaling.type", "linear");
        w.float("rope.scaling.factor", &rope["factor"]);
    }
    if rope["rope_type"] == "yarn" {
        w.text("rope.scaling.type", "yarn");
        w.float("rope.scaling.factor", &rope["factor"]);
        w.whole("rope.scaling.original_context_length", &rope["original_max_position_embeddings"]);
        w.float("rope.scaling.yarn_attn_factor", &rope["attention_factor"]);
        w.float("rope.scaling.yarn_beta_fast", &rope["beta_fast"]);
        w.float("rope.scaling.yarn_beta_slow", &rope["beta_slow"]);
    }
    w.float("rope.freq_base", &rope["rope_theta"]);
    w.float("rope.freq_base_swa", &ropes["sliding_attention"]["rope_theta"]);
}

fn rotating(c: &Value, share: f64) -> Value {
    let width = c["hidden_size"].as_u64().unwrap() / c["num_attention_heads"].as_u64().unwrap();
    json!((width as f64 * share) as u64)
}

/// What the converter of `arch` writes for `config`, and the rope tensors it adds.
fn converted(arch: &str, c: &Value) -> (Metadata, Tensors) {
    let mut w = Writer::new(arch);
    let mut extra = Tensors::new();
    match arch {
        "llama" | "smollm3" | "granite" => {
            base(&mut w, c);
            w.whole("vocab_size", &c["vocab_size"]);
            let head_dim =
                if c["head_dim"].is_null() || arch == "granite" { rotating(c, 1.0) } else { c["head_dim"].clone() };
            w.whole("rope.dimension_count", &head_dim);
            if c["rope_parameters"]["rope_type"] == "llama3" {
                let factors = llama3_factors(&c["rope_parameters"], head_dim.as_u64().unwrap());
                extra.insert("rope_freqs.weight".to_owned(), (vec![factors.len() as u64], factors));
            }
            w.float("attention.scale", &c["attention_multiplier"]);
            w.float("embedding_scale", &c["embedding_multiplier"]);
            w.float("residual_scale", &c["residual_multiplier"]);
            w.float("logit_scale", &c["logits_scaling"]);
        }
        "gemma" | "gemma2" => {
            // These write everything themselves, and no rope base.
            base(&mut w, c);
            w.out.remove(&format!("{arch}.rope.freq_base"));
            w.float("attn_logit_softcapping", &c["attn_logit_softcapping"]);
            w.float("final_logit_softcapping", &c["final_logit_softcapping"]);
            w.whole("attention.sliding_window", &c["sliding_window"]);
        }
        "gemma3" => {
            base(&mut w, c);
            w.float("final_logit_softcapping", &c["final_logit_softcapping"]);
            w.whole("attention.sliding_window", &c["sliding_window"]);
        }
        "phi3" => {
            base(&mut w, c);
            for gone in ["attention.key_length", "attention.value_length"] {
                w.out.remove(&format!("{arch}.{gone}"));
            }
            let rope = &c["rope_parameters"];
            w.whole("rope.dimension_count", &rotating(c, rope["partial_rotary_factor"].as_f64().unwrap_or(1.0)));
            w.whole("rope.scaling.original_context_length", &c["original_max_position_embeddings"]);
            w.whole("attention.sliding_window", c.get("sliding_window").filter(|w| !w.is_null()).unwrap_or(&json!(0)));
            if rope["rope_type"] == "longrope" {
                let original = c["original_max_position_embeddings"].as_f64().unwrap();
                let stretch = c["max_position_embeddings"].as_f64().unwrap() / original;
                w.float("rope.scaling.attn_factor", &json!((1.0 + stretch.ln() / original.ln()).sqrt()));
                for kind in ["long", "short"] {
                    let list = rope[format!("{kind}_factor")].as_array().unwrap();
                    let list: Vec<f32> = list.iter().map(|x| x.as_f64().unwrap() as f32).collect();
                    extra.insert(format!("rope_factors_{kind}.weight"), (vec![list.len() as u64], list));
                }
            }
        }
        "stablelm" => {
            base(&mut w, c);
            w.out.remove("stablelm.rope.freq_base");
            let share = c["rope_parameters"]["partial_rotary_factor"].as_f64().unwrap();
            w.whole("rope.dimension_count", &rotating(c, share));
            w.set("use_parallel_residual", MetaValue::Bool(c["use_parallel_residual"].as_bool().unwrap_or(true)));
        }
        "gpt2" => {
            for (key, name) in
                [("block_count", "n_layer"), ("context_length", "n_positions"), ("embedding_length", "n_embd")]
            {
                w.whole(key, &c[name]);
            }
            w.whole("attention.head_count", &c["n_head"]);
            w.whole("feed_forward_length", &c["n_inner"]);
            w.float("attention.layer_norm_epsilon", &c["layer_norm_epsilon"]);
        }
        "gptneox" => {
            base(&mut w, c);
            w.out.remove("gptneox.rope.freq_base");
            let share = c["rope_parameters"]["partial_rotary_factor"].as_f64().unwrap();
            w.whole("rope.dimension_count", &rotating(c, share));
            w.set("use_parallel_residual", MetaValue::Bool(c["use_parallel_residual"].as_bool().unwrap_or(true)));
        }
        "qwen3moe" => {
            base(&mut w, c);
            w.whole("expert_feed_forward_length", &c["moe_intermediate_size"]);
        }
        _ => base(&mut w, c),
    }
    (w.out, extra)
}

/// `LlamaModel.generate_extra_tensors`.
fn llama3_factors(rope: &Value, head_dim: u64) -> Vec<f32> {
    let get = |key: &str| rope[key].as_f64().unwrap();
    let (factor, low, high) = (get("factor"), get("low_freq_factor"), get("high_freq_factor"));
    let context = get("original_max_position_embeddings");
    let of = |i: u64| {
        let frequency = get("rope_theta").powf(-(i as f64) / head_dim as f64);
        let wave = 2.0 * std::f64::consts::PI / frequency;
        if wave < context / high {
            1.0
        } else if wave > context / low {
            factor
        } else {
            let smooth = (context / wave - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    (0..head_dim).step_by(2).map(|i| of(i) as f32).collect()
}

/// The config as far as the converter keeps it: the rest is lost in every GGUF of the family.
fn as_converted(case: &str, config: &Value) -> Value {
    let mut c = config.clone();
    match case {
        // No window is written, or it is ignored.
        "mistral" | "mixtral" | "starcoder2" => c["sliding_window"] = Value::Null,
        "qwen2" | "qwen3" => {
            c["use_sliding_window"] = json!(false);
            c["layer_types"] = Value::Null;
        }
        "smollm3" => {
            c["use_sliding_window"] = json!(false);
            c["layer_types"] = Value::Null;
            // Which layers rotate is not written: every fourth does not.
            c["no_rope_layers"] = Value::Null;
        }
        // The multiplier of scores is not written: it follows from the head dim, but in the largest.
        "gemma2" => c["query_pre_attn_scalar"] = c["head_dim"].clone(),
        "gemma3" => {
            c["query_pre_attn_scalar"] = c["head_dim"].clone();
            // Which layers are windowed is not written: all but every sixth.
            c["layer_types"] = json!(["sliding_attention", "sliding_attention", "sliding_attention"]);
        }
        "gpt2" => c["scale_attn_by_inverse_layer_idx"] = json!(false),
        // The chosen experts' weights always add up to 1.
        "qwen3_moe_sparse" => c["norm_topk_prob"] = json!(true),
        // They never do, and nothing is clamped.
        "olmoe" => {
            c["norm_topk_prob"] = json!(false);
            c["clip_qkv"] = Value::Null;
        }
        _ => {}
    }
    if ["gemma", "gemma2", "stablelm", "stablelm_parallel", "gpt_neox"].contains(&case) {
        c["rope_parameters"]["rope_theta"] = json!(10000.0);
    }
    c
}

/// Without names of tensors, and without the 1 that converters have already added to norms.
fn nameless(mut found: Architecture) -> Architecture {
    let norm = |norm: &mut Norm| {
        (norm.weight_offset, norm.weight) = (0.0, Vec::new());
        norm.bias.truncate(1);
        norm.bias.iter_mut().for_each(|name| "bias".clone_into(name));
    };
    // A head of its own has its own name in both; the embedding's is the embedding's in both.
    found.head.tensor = (found.head.tensor == found.embedding.tensor).to_string();
    found.embedding.tensor.clear();
    found.embedding.positions.iter_mut().for_each(String::clear);
    norm(&mut found.final_norm);
    for layer in &mut found.layers {
        let blocks = [&mut layer.attention_in, &mut layer.attention_out, &mut layer.mlp_in, &mut layer.mlp_out];
        blocks.into_iter().flatten().for_each(norm);
        let heads = [&mut layer.attention.query_norm, &mut layer.attention.key_norm];
        heads.into_iter().flatten().for_each(|head| norm(&mut head.norm));
        layer.mlp.experts.iter_mut().for_each(|experts| experts.router.clear());
    }
    found
}

/// Equal to a part in a million: some factors were rounded to f32 on their way through the file.
fn assert_same_ropes(case: &str, found: &[Rope], expected: &[Rope]) {
    let close = |a: f32, b: f32| (a / b - 1.0).abs() < 1e-6;
    assert_eq!(found.len(), expected.len(), "{case}");
    for (found, expected) in found.iter().zip(expected) {
        for length in [8, 100] {
            let ((a, attention_a), (b, attention_b)) = (found.for_length(length), expected.for_length(length));
            assert!(close(attention_a, attention_b), "{case}: {attention_a} for {attention_b}");
            assert_eq!((found.dims, a.len()), (expected.dims, b.len()), "{case}");
            assert!(a.iter().zip(b.iter()).all(|(a, b)| close(*a, *b)), "{case}: {a:?} for {b:?}");
        }
    }
}

fn check(case: &str, config: &Value, fixture: &Fixture) {
    let arch = fixture.record["gguf_architecture"].as_str().unwrap();
    let (metadata, extra) = converted(arch, config);
    let mut tensors = tensors_of(fixture, arch, true);
    tensors.extend(extra);
    let gguf = TestSource::new(tensors, Config::Gguf(metadata)).open().unwrap();
    let gguf = gguf.architecture().unwrap_or_else(|e| panic!("{case}: {e}"));
    assert!(gguf.layers.iter().all(|l| l.mlp_in.iter().all(|n| n.weight_offset == 0.0)), "{case}");
    let kept = Config::HuggingFace(as_converted(case, config));
    let mut expected = TestSource::new(fixture.tensors.clone(), kept).open().unwrap().architecture().unwrap();
    assert_same_ropes(case, &gguf.ropes, &expected.ropes);
    expected.ropes.clone_from(&gguf.ropes);
    assert_eq!(nameless(gguf), nameless(expected), "{case}");
}

#[test]
fn converted_models_compute_the_same() {
    let mut seen = 0;
    for fixture in Fixture::all().iter().filter(|f| f.record["gguf_architecture"].is_string()) {
        check(&fixture.case, &fixture.config, fixture);
        seen += 1;
    }
    assert!(seen >= 19, "only {seen} cases");
}

/// yarn has no case among the families' own.
#[test]
fn converted_yarn_computes_the_same() {
    let fixture = Fixture::read("qwen2");
    for more in [json!({}), json!({"attention_factor": 0.8}), json!({"beta_fast": 3.0, "beta_slow": 0.5})] {
        let mut config = fixture.config.clone();
        let mut rope = json!({
            "rope_type": "yarn", "rope_theta": 60.0, "factor": 4.0, "original_max_position_embeddings": 24,
        });
        rope.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config["rope_parameters"] = rope;
        check("qwen2", &config, &fixture);
    }
}

/// llama.cpp tells the largest Gemma 2 and 3 by their layers, and scales their scores by D / H instead of C.
#[test]
fn the_largest_gemma_scales_by_its_width_per_head() {
    let fixture = Fixture::read("gemma2");
    let (mut metadata, extra) = converted("gemma2", &fixture.config);
    let mut tensors = tensors_of(&fixture, "gemma2", true);
    tensors.extend(extra);
    let first: Vec<_> =
        tensors.iter().filter(|(name, _)| name.starts_with("blk.0.")).map(|(n, t)| (n.clone(), t.clone())).collect();
    for layer in 0..46 {
        let named = |name: &String| name.replacen("blk.0.", &format!("blk.{layer}."), 1);
        tensors.extend(first.iter().map(|(name, tensor)| (named(name), tensor.clone())));
    }
    metadata.insert("gemma2.block_count".to_owned(), MetaValue::Unsigned(46));
    let found = TestSource::new(tensors, Config::Gguf(metadata)).open().unwrap().architecture().unwrap();
    // D / H = 6, C = 10.
    assert!(found.layers.iter().all(|layer| (layer.attention.scale - 0.408_248_3).abs() < 1e-7));
    assert!(found.layers.iter().enumerate().all(|(at, layer)| layer.attention.window.is_some() == (at % 2 == 0)));
}

#[test]
fn patterns_of_windows_are_flags_or_a_period() {
    let fixture = Fixture::read("gemma3");
    let windows = |pattern: MetaValue| {
        let (mut metadata, extra) = converted("gemma3", &fixture.config);
        metadata.insert("gemma3.attention.sliding_window_pattern".to_owned(), pattern);
        let mut tensors = tensors_of(&fixture, "gemma3", true);
        tensors.extend(extra);
        let model = TestSource::new(tensors, Config::Gguf(metadata)).open().unwrap();
        model.architecture().map(|found| found.layers.iter().map(|l| l.attention.window.is_some()).collect::<Vec<_>>())
    };
    let flags = |flags: [bool; 3]| MetaValue::Array(flags.map(MetaValue::Bool).to_vec());
    assert_eq!(windows(flags([false, true, true])).unwrap(), [false, true, true]);
    assert_eq!(windows(MetaValue::Unsigned(2)).unwrap(), [true, false, true]);
    let error = windows(MetaValue::Array(vec![MetaValue::Bool(true)])).unwrap_err().to_string();
    assert!(error.contains("gemma3.attention.sliding_window_pattern") && error.contains("3 entries"), "{error}");
}

/// `TOMOGRAPH_SMOLLM2` names SmolLM2-135M-Instruct.Q4_1.gguf. Expected: its config.json on the hub.
#[test]
#[ignore = "needs the real model"]
fn smollm2_from_its_gguf() {
    let path = std::env::var_os("TOMOGRAPH_SMOLLM2").expect("TOMOGRAPH_SMOLLM2 names the GGUF file");
    let source = tomo_checkpoint::open(std::path::Path::new(&path)).unwrap();
    let model = tomo_model::Model::open(source, &tomo_model::OpenOptions::default()).unwrap();
    let found = model.architecture().unwrap();
    assert_eq!((found.hidden, found.vocab, found.context, found.layers.len()), (576, 49152, Some(8192), 30));
    assert_eq!(found.head.tensor, found.embedding.tensor);
    assert_eq!((found.final_norm.epsilon, found.ropes.len()), (1e-5, 1));
    let (frequencies, attention) = found.ropes[0].for_length(8192);
    assert_eq!((frequencies.len(), frequencies[0], attention), (32, 1.0, 1.0));
    // 100000^(-62/64)
    assert!((f64::from(frequencies[31]) / 100_000_f64.powf(-31.0 / 32.0) - 1.0).abs() < 1e-6);
    for layer in &found.layers {
        let a = &layer.attention;
        assert_eq!((a.heads, a.kv_heads, a.head_dim, a.scale, a.window, a.rope), (9, 3, 64, 0.125, None, Some(0)));
        assert_eq!((a.softcap, a.clip, layer.residual_scale), (None, None, 1.0));
    }
}

/// Files that llama.cpp's own converter wrote, of models as they are published: nothing is lost.
#[test]
fn files_of_the_real_converter_compute_the_same() {
    let mut seen = 0;
    let parity = crate::source::fixtures().join("parity");
    for folder in std::fs::read_dir(parity).unwrap().map(|entry| entry.unwrap().path()) {
        let file = folder.join("model.gguf");
        if !file.exists() {
            continue;
        }
        let case = folder.file_name().unwrap().to_string_lossy().into_owned();
        let [mut gguf, folder] = [file, folder].map(|path| {
            let source = tomo_checkpoint::open(&path).unwrap();
            let model = tomo_model::Model::open(source, &tomo_model::OpenOptions::default()).unwrap();
            model.architecture().unwrap_or_else(|e| panic!("{case}: {e}"))
        });
        assert_same_ropes(&case, &gguf.ropes, &folder.ropes);
        gguf.ropes.clone_from(&folder.ropes);
        assert_eq!(nameless(gguf), nameless(folder), "{case}");
        seen += 1;
    }
    assert!(seen >= 15, "only {seen} files");
}
