//! StarCoder 2: layer norms, biases everywhere, grouped queries, an MLP without gate.
//!
//! ## Switches
//! `use_bias`, `num_key_value_heads`, `sliding_window`, `tie_word_embeddings`. The column `mlp.gate` is missing.
//!
//! ## Hugging Face names
//! `model.layers.{}.self_attn.{q,k,v,o}_proj.weight`, `model.layers.{}.mlp.c_fc.weight` (up), `mlp.c_proj.weight`
//! (down); plain `Linear`, not transposed.
//!
//! ## GGUF names
//! As `llama` without `ffn_gate`; rows keep their order.
//!
//! ## Source
//! transformers `models/starcoder2`; llama.cpp `conversion/starcoder.py`.

use tomo_map::Component::{MlpDown, MlpGate, MlpUp};

use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{ActivationFrom, Arithmetic, Neutral, Presence, Switch};
use crate::architecture::usual::{ALL, GGUF_ARITHMETIC, GGUF_LAYER_NORM_EPSILON, HF_ARITHMETIC, HF_WINDOW};
use crate::architecture::{Activation, NormKind};
use crate::family::{Dialect, DimFrom, DimKeys, Family, NormPlace, OtherRule, Role, cell, norm, optional};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_DIMS, GGUF_PRE_NORM_BIASES, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION,
    HF_ATTENTION_BIASES, HF_DIMS, HF_HEADS, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK, UNGATED,
};

const BIASES: &[OtherRule] = &[
    norm(NormPlace::Final, "norm.bias"),
    norm(NormPlace::AttentionIn, "layers.{}.input_layernorm.bias"),
    norm(NormPlace::MlpIn, "layers.{}.post_attention_layernorm.bias"),
    optional(Role::Bias, "layers.{}.mlp.c_fc.bias"),
    optional(Role::Bias, "layers.{}.mlp.c_proj.bias"),
];

pub(super) static FAMILY: Family = Family {
    id: "starcoder2",
    title: "StarCoder 2",
    source: include_str!("starcoder2.rs"),
    model_types: &["starcoder2"],
    classes: &["Starcoder2"],
    gguf_architectures: &["starcoder2"],
    experts: false,
    missing: &[(MlpGate, UNGATED)],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: DimKeys {
            kv_heads: &[
                DimFrom::Key("num_key_value_heads"),
                DimFrom::ValueIfAbsent("num_key_value_heads", 2),
                DimFrom::Heads,
            ],
            ..HF_DIMS
        },
        cells: &[
            HF_ATTENTION[0],
            HF_ATTENTION[1],
            HF_ATTENTION[2],
            HF_ATTENTION[3],
            cell(MlpUp, "layers.{}.mlp.c_fc.weight"),
            cell(MlpDown, "layers.{}.mlp.c_proj.weight"),
        ],
        others: &[HF_TRUNK, HF_PRE_NORMS, BIASES, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: &[Key("norm_epsilon"), Value(1e-5)],
            activation: ActivationFrom::Key { key: "hidden_act", absent: Activation::GeluTanh, gelu: Activation::Gelu },
            biases: &[(ALL, Presence::As(Switch::Key("use_bias", true)))],
            window: HF_WINDOW,
            tied: Switch::Key("tie_word_embeddings", true),
            neutral: &[
                ("activation_function", Neutral::Text(&["gelu_pytorch_tanh"])),
                ("mlp_type", Neutral::Text(&["default"])),
                ("norm_type", Neutral::Text(&["layer_norm"])),
                ("scale_attn_weights", Neutral::Bool(true)),
            ],
            harmless: &["attention_softmax_in_fp32", "scale_attention_softmax_in_fp32"],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: &[GGUF_CELLS[0], GGUF_CELLS[1], GGUF_CELLS[2], GGUF_CELLS[3], GGUF_CELLS[4], GGUF_CELLS[5]],
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_PRE_NORM_BIASES, GGUF_BIASES],
        root: &[],
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: GGUF_LAYER_NORM_EPSILON,
            activation: ActivationFrom::Always(Activation::GeluTanh),
            ..GGUF_ARITHMETIC
        },
    },
};
