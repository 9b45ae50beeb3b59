//! How the first families compute: expected values are written down here from transformers' modeling files. Families
//! that came later are held against transformers' numbers only (`parity.rs`).

use std::fs;

use tomo_checkpoint::Config;
use tomo_model::architecture::{Activation, Architecture, Layer, Norm, NormKind, Span, Wiring};

use crate::source::{Fixture, TestSource, fixtures};

/// What a case must come to; the default is the Llama block of these fixtures.
struct Expected {
    embedding_scale: f32,
    positions: bool,
    head: &'static str,
    logits: (f32, Option<f32>),
    wiring: Wiring,
    residual_scale: f32,
    /// Before and after attention, before and after the MLP.
    norms: [bool; 4],
    norm: (NormKind, f32, f32),
    /// Per layer; the last holds for the rest.
    scale: &'static [f32],
    softcap: Option<f32>,
    windows: [Option<usize>; 3],
    /// Rotating dims of each layer.
    rotating: [Option<usize>; 3],
    ropes: usize,
    span: Option<Span>,
    clip: Option<f32>,
    mlp: (Activation, bool),
    /// Experts of each layer: how many, how many per token, whether normalised.
    experts: [Option<(usize, usize, bool)>; 3],
}

/// Of H = 6 heads over D = 36.
const SIXTH: f32 = 0.408_248_3;
/// Of heads of 8 and of 10.
const EIGHTH: f32 = 0.353_553_4;
const TENTH: f32 = 0.316_227_76;

const LLAMA: Expected = Expected {
    embedding_scale: 1.0,
    positions: false,
    head: "lm_head.weight",
    logits: (1.0, None),
    wiring: Wiring::Sequential,
    residual_scale: 1.0,
    norms: [true, false, true, false],
    norm: (NormKind::Rms, 1e-6, 0.0),
    scale: &[SIXTH],
    softcap: None,
    windows: [None; 3],
    rotating: [Some(6); 3],
    ropes: 1,
    span: None,
    clip: None,
    mlp: (Activation::Silu, true),
    experts: [None; 3],
};

const GEMMA: Expected = Expected {
    embedding_scale: 6.0,
    head: "model.embed_tokens.weight",
    norm: (NormKind::Rms, 1e-6, 1.0),
    scale: &[TENTH],
    rotating: [Some(10); 3],
    mlp: (Activation::GeluTanh, true),
    ..LLAMA
};

const GEMMA3: Expected = Expected {
    norms: [true; 4],
    scale: &[1.0 / 3.0],
    windows: [Some(5), None, Some(5)],
    ropes: 2,
    span: Some(Span::Head),
    ..GEMMA
};

const LAYER_NORMS: Expected = Expected { norm: (NormKind::Layer, 1e-5, 0.0), ..LLAMA };

const GPT2: Expected = Expected {
    positions: true,
    head: "wte.weight",
    scale: &[0.5],
    rotating: [None; 3],
    ropes: 0,
    mlp: (Activation::GeluTanh, false),
    ..LAYER_NORMS
};

const STABLELM: Expected = Expected { scale: &[EIGHTH], rotating: [Some(4); 3], span: Some(Span::Head), ..LAYER_NORMS };

const QWEN3: Expected = Expected { scale: &[TENTH], rotating: [Some(10); 3], span: Some(Span::Head), ..LLAMA };

const LATE_WINDOWS: [Option<usize>; 3] = [None, Some(5), Some(5)];
const WINDOWS: [Option<usize>; 3] = [Some(5); 3];

const CASES: &[(&str, Expected)] = &[
    ("llama", Expected { scale: &[EIGHTH], rotating: [Some(8); 3], ..LLAMA }),
    ("llama_base", Expected { head: "embed_tokens.weight", ..LLAMA }),
    ("mistral", Expected { scale: &[TENTH], rotating: [Some(10); 3], windows: WINDOWS, ..LLAMA }),
    ("qwen2", Expected { windows: LATE_WINDOWS, ..LLAMA }),
    ("qwen3", Expected { windows: LATE_WINDOWS, ..QWEN3 }),
    ("gemma", GEMMA),
    (
        "gemma2",
        Expected {
            norms: [true; 4],
            scale: &[1.0 / 3.0],
            softcap: Some(20.0),
            logits: (1.0, Some(15.0)),
            windows: [Some(5), None, Some(5)],
            ..GEMMA
        },
    ),
    ("gemma3", GEMMA3),
    ("gemma3_multimodal", Expected { head: "language_model.model.embed_tokens.weight", ..GEMMA3 }),
    ("phi3", Expected { norm: (NormKind::Rms, 1e-5, 0.0), scale: &[EIGHTH], windows: WINDOWS, ..LLAMA }),
    (
        "olmo2",
        Expected {
            norm: (NormKind::Rms, 1e-5, 0.0),
            norms: [false, true, false, true],
            span: Some(Span::All),
            ..LLAMA
        },
    ),
    ("granite", Expected { embedding_scale: 3.0, scale: &[0.3], residual_scale: 0.7, logits: (0.4, None), ..LLAMA }),
    ("smollm3", Expected { windows: [Some(5), None, Some(5)], rotating: [Some(6), None, Some(6)], ..LLAMA }),
    ("stablelm", STABLELM),
    (
        "stablelm_parallel",
        Expected {
            wiring: Wiring::ParallelSharedNorm,
            norms: [true, false, false, false],
            rotating: [Some(2); 3],
            span: None,
            ..STABLELM
        },
    ),
    ("starcoder2", Expected { windows: WINDOWS, mlp: (Activation::GeluTanh, false), ..LAYER_NORMS }),
    ("gpt2", Expected { head: "transformer.wte.weight", scale: &[SIXTH, SIXTH / 2.0, SIXTH / 3.0], ..GPT2 }),
    ("gpt2_base", GPT2),
    (
        "gpt_neox",
        Expected {
            head: "embed_out.weight",
            wiring: Wiring::Parallel,
            scale: &[EIGHTH],
            rotating: [Some(2); 3],
            mlp: (Activation::Gelu, false),
            ..LAYER_NORMS
        },
    ),
    (
        "mixtral",
        Expected {
            norm: (NormKind::Rms, 1e-5, 0.0),
            scale: &[TENTH],
            rotating: [Some(10); 3],
            windows: WINDOWS,
            experts: [Some((3, 2, true)); 3],
            ..LLAMA
        },
    ),
    ("qwen3_moe", Expected { experts: [Some((5, 2, true)), None, Some((5, 2, true))], ..QWEN3 }),
    ("qwen3_moe_sparse", Expected { experts: [Some((3, 2, false)); 3], ..QWEN3 }),
    (
        "olmoe",
        Expected {
            norm: (NormKind::Rms, 1e-5, 0.0),
            span: Some(Span::All),
            clip: Some(1.5),
            experts: [Some((3, 2, true)); 3],
            ..LLAMA
        },
    ),
];

fn check_norm(case: &str, norm: &Norm, expected: &Expected) {
    let (kind, epsilon, offset) = expected.norm;
    assert_eq!((norm.kind, norm.epsilon, norm.weight_offset), (kind, epsilon, offset), "{case}");
}

fn check_layer(case: &str, at: usize, layer: &Layer, expected: &Expected, found: &Architecture) {
    let case = &format!("{case}, layer {at}");
    assert_eq!((layer.wiring, layer.residual_scale), (expected.wiring, expected.residual_scale), "{case}");
    let norms = [&layer.attention_in, &layer.attention_out, &layer.mlp_in, &layer.mlp_out];
    assert_eq!(norms.map(Option::is_some), expected.norms, "{case}");
    norms.into_iter().flatten().for_each(|norm| check_norm(case, norm, expected));
    let attention = &layer.attention;
    let scale = expected.scale.get(at).or(expected.scale.last()).unwrap();
    assert!((attention.scale / scale - 1.0).abs() < 2e-7, "{case}: {} for {scale}", attention.scale);
    assert_eq!((attention.softcap, attention.clip), (expected.softcap, expected.clip), "{case}");
    assert_eq!(attention.window, expected.windows[at], "{case}");
    assert_eq!(attention.rope.map(|rope| found.ropes[rope].dims), expected.rotating[at], "{case}");
    for norm in [&attention.query_norm, &attention.key_norm] {
        assert_eq!(norm.as_ref().map(|norm| norm.span), expected.span, "{case}");
        norm.iter().for_each(|norm| check_norm(case, &norm.norm, expected));
    }
    assert_eq!((layer.mlp.activation, layer.mlp.gated), expected.mlp, "{case}");
    let experts = layer.mlp.experts.as_ref().map(|e| (e.count, e.top_k, e.normalise));
    assert_eq!(experts, expected.experts[at], "{case}");
}

#[test]
fn every_switch_of_the_first_families() {
    for (case, expected) in CASES {
        let fixture = Fixture::read(case);
        let model = fixture.source().open().unwrap();
        let found = model.architecture().unwrap_or_else(|e| panic!("{case}: {e}"));
        let dim = |name| fixture.dim(name).unwrap() as usize;
        assert_eq!((found.hidden, found.vocab, found.context), (dim("hidden"), dim("vocab"), Some(64)), "{case}");
        assert_eq!(found.embedding.scale, expected.embedding_scale, "{case}");
        assert_eq!(found.embedding.positions.is_some(), expected.positions, "{case}");
        assert_eq!(found.head.tensor, expected.head, "{case}");
        assert_eq!((found.head.scale, found.head.softcap), expected.logits, "{case}");
        assert_eq!((found.ropes.len(), found.layers.len()), (expected.ropes, dim("layers")), "{case}");
        check_norm(case, &found.final_norm, expected);
        for (at, layer) in found.layers.iter().enumerate() {
            let attention = &layer.attention;
            let heads = (attention.heads, attention.kv_heads, attention.head_dim);
            assert_eq!(heads, (dim("heads"), dim("kv_heads"), dim("head_dim")), "{case}");
            check_layer(case, at, layer, expected, &found);
        }
    }
}

/// Every norm is another tensor, all are there, and none is left over.
#[test]
fn every_norm_and_router_is_used_once() {
    for fixture in Fixture::all() {
        let model = fixture.source().open().unwrap();
        let found = model.architecture().unwrap();
        let of_layer = |layer: &Layer| -> Vec<String> {
            let blocks = [&layer.attention_in, &layer.attention_out, &layer.mlp_in, &layer.mlp_out];
            let heads = [&layer.attention.query_norm, &layer.attention.key_norm];
            let norms = blocks.into_iter().flatten().chain(heads.into_iter().flatten().map(|head| &head.norm));
            let names = norms.flat_map(|norm| norm.weight.iter().chain(&norm.bias).cloned());
            names.chain(layer.mlp.experts.iter().map(|experts| experts.router.clone())).collect()
        };
        let last = found.final_norm.weight.iter().chain(&found.final_norm.bias).cloned();
        let mut used: Vec<_> = found.layers.iter().flat_map(of_layer).chain(last).collect();
        used.sort();
        let roles = ["norm", "router"];
        let stored = model.others().iter().filter(|other| roles.contains(&other.role.name()));
        let mut stored: Vec<_> = stored.map(|other| other.tensor.name.clone()).collect();
        stored.sort();
        assert_eq!(used, stored, "{}", fixture.case);
    }
}

#[test]
fn both_dialects_of_a_config_mean_the_same() {
    let mut seen = 0;
    for folder in fs::read_dir(fixtures().join("parity")).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(older) = fs::read(folder.join("config.v4.json")) else { continue };
        let case = folder.file_name().unwrap().to_string_lossy().into_owned();
        let newer = fs::read(folder.join("config.json")).unwrap();
        let tensors = crate::source::read_safetensors(&folder.join("model.safetensors"));
        let [newer, older] = [newer, older].map(|text| {
            let config = Config::HuggingFace(serde_json::from_slice(&text).unwrap());
            let model = TestSource::new(tensors.clone(), config).open().unwrap();
            model.architecture().unwrap_or_else(|e| panic!("{case}: {e}"))
        });
        assert_eq!(newer, older, "{case}");
        seen += 1;
    }
    assert!(seen >= 57, "only {seen} cases");
}
