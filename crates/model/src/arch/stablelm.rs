//! StableLM 3B, StableLM 2 (1.6B and 12B): layer norms with bias, partial rotary embedding, gated MLP.
//!
//! ## Switches
//! `use_qkv_bias`, `qk_layernorm` (one norm per head), `use_parallel_residual` (no second norm),
//! `partial_rotary_factor`, `num_key_value_heads`, `tie_word_embeddings`.
//!
//! ## Hugging Face names
//! As `llama`, norms with `.bias`; with `qk_layernorm`: `self_attn.{q,k}_layernorm.norms.{head}.weight`.
//!
//! ## GGUF names
//! As `llama`; the norms of the heads are stacked in `blk.{}.attn_{q,k}_norm.weight`; rows keep their order.
//!
//! ## Source
//! transformers `models/stablelm`; llama.cpp `conversion/stablelm.py`.

use crate::architecture::rules::NumberFrom::{Key, KeyOfType, Value};
use crate::architecture::rules::{Arithmetic, Presence, RopeFrom, Switch, WiringFrom};
use crate::architecture::usual::{
    GGUF_ARITHMETIC, GGUF_LAYER_NORM_EPSILON, HF_ARITHMETIC, HF_ROPE, MLP, NO_BIAS, O, QKV,
};
use crate::architecture::{NormKind, Span, Wiring};
use crate::family::{Dialect, DimFrom, DimKeys, Family, NormPlace, OtherRule, norm, optional_norm};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_DIMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS, HF_HEADS, HF_PREFIXES,
    HF_TRUNK,
};

const NORMS: &[OtherRule] = &[
    norm(NormPlace::Final, "norm.bias"),
    norm(NormPlace::AttentionIn, "layers.{}.input_layernorm.weight"),
    norm(NormPlace::AttentionIn, "layers.{}.input_layernorm.bias"),
    optional_norm(NormPlace::MlpIn, "layers.{}.post_attention_layernorm.weight"),
    optional_norm(NormPlace::MlpIn, "layers.{}.post_attention_layernorm.bias"),
    optional_norm(NormPlace::Query, "layers.{}.self_attn.q_layernorm.norms.{*}.weight"),
    optional_norm(NormPlace::Key, "layers.{}.self_attn.k_layernorm.norms.{*}.weight"),
];

const GGUF_NORMS: &[OtherRule] = &[
    norm(NormPlace::AttentionIn, "blk.{}.attn_norm.weight"),
    norm(NormPlace::AttentionIn, "blk.{}.attn_norm.bias"),
    optional_norm(NormPlace::MlpIn, "blk.{}.ffn_norm.weight"),
    optional_norm(NormPlace::MlpIn, "blk.{}.ffn_norm.bias"),
    optional_norm(NormPlace::Query, "blk.{}.attn_q_norm.weight"),
    optional_norm(NormPlace::Key, "blk.{}.attn_k_norm.weight"),
];

pub(super) static FAMILY: Family = Family {
    id: "stablelm",
    title: "StableLM 3B, 2 and 2 12B",
    source: include_str!("stablelm.rs"),
    model_types: &["stablelm", "stablelm_epoch"],
    classes: &["StableLm"],
    gguf_architectures: &["stablelm"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: DimKeys {
            kv_heads: &[
                DimFrom::Key("num_key_value_heads"),
                DimFrom::ValueIfAbsent("num_key_value_heads", 32),
                DimFrom::Heads,
            ],
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: &[Key("layer_norm_eps"), KeyOfType("stablelm_epoch", "norm_eps"), Value(1e-5)],
            wiring: WiringFrom::Switch(Switch::Key("use_parallel_residual", false), Wiring::ParallelSharedNorm),
            biases: &[(QKV, Presence::As(Switch::Key("use_qkv_bias", false))), (O, NO_BIAS), (MLP, NO_BIAS)],
            head_norms: Some((Span::Head, Presence::As(Switch::Key("qk_layernorm", false)))),
            rope: Some(RopeFrom {
                share: &[Key("partial_rotary_factor"), KeyOfType("stablelm_epoch", "rope_pct"), Value(0.25)],
                ..HF_ROPE
            }),
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_NORMS, GGUF_BIASES],
        root: &[],
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: GGUF_LAYER_NORM_EPSILON,
            wiring: WiringFrom::Norms,
            head_norms: Some((Span::Head, Presence::Stored)),
            harmless: &["use_parallel_residual"],
            ..GGUF_ARITHMETIC
        },
    },
};
