//! GPT-NeoX, Pythia: parallel attention and MLP, partial rotary embedding, q, k, v of each head side by side.
//!
//! ## Switches
//! `use_parallel_residual`, `rotary_pct`, `attention_bias`, `tie_word_embeddings`. K = H. The column `mlp.gate` is
//! missing.
//!
//! ## Hugging Face names
//! `gpt_neox.layers.{}.attention.query_key_value.weight` `[H, 3, C, D]`: q, k, v of head 0, then of head 1, …;
//! `attention.dense`, `mlp.dense_h_to_4h`, `mlp.dense_4h_to_h`; the head is `embed_out.weight`. H cannot be seen in the
//! shapes, so the config is needed.
//!
//! ## GGUF names
//! `blk.{}.attn_qkv.weight` `[3*D, D]`: the converter gathers all of q, then k, then v.
//!
//! ## Source
//! transformers `models/gpt_neox` (`GPTNeoXAttention.forward`); llama.cpp `conversion/gpt_neox.py`.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};

use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{ActivationFrom, Arithmetic, Presence, RopeFrom, Switch, WiringFrom};
use crate::architecture::usual::{
    ATTENTION, BIASED, GGUF_ARITHMETIC, GGUF_LAYER_NORM_EPSILON, HF_ARITHMETIC, HF_ROPE, MLP,
};
use crate::architecture::{Activation, NormKind, Wiring};
use crate::family::{Dialect, DimFrom, DimKeys, Family, NormPlace, OtherRule, Part, Role, cell, norm, optional, other};
use crate::names::{
    GGUF_BIASES, GGUF_DIMS, GGUF_PRE_NORM_BIASES, GGUF_PRE_NORMS, GGUF_TRUNK, HF_DIMS, HF_PRE_NORMS, UNGATED,
};

const OTHERS: &[OtherRule] = &[
    other(Role::Embedding, "embed_in.weight"),
    norm(NormPlace::Final, "final_layer_norm.weight"),
    norm(NormPlace::Final, "final_layer_norm.bias"),
    norm(NormPlace::AttentionIn, "layers.{}.input_layernorm.bias"),
    norm(NormPlace::MlpIn, "layers.{}.post_attention_layernorm.bias"),
    optional(Role::Bias, "layers.{}.attention.query_key_value.bias"),
    optional(Role::Bias, "layers.{}.attention.dense.bias"),
    other(Role::Bias, "layers.{}.mlp.dense_h_to_4h.bias"),
    other(Role::Bias, "layers.{}.mlp.dense_4h_to_h.bias"),
    optional(Role::Buffer, "layers.{}.attention.bias"),
    optional(Role::Buffer, "layers.{}.attention.masked_bias"),
    optional(Role::Buffer, "layers.{}.attention.rotary_emb.inv_freq"),
];

pub(super) static FAMILY: Family = Family {
    id: "gpt_neox",
    title: "GPT-NeoX, Pythia",
    source: include_str!("gpt_neox.rs"),
    model_types: &["gpt_neox"],
    classes: &["GPTNeoX"],
    gguf_architectures: &["gptneox"],
    experts: false,
    missing: &[(MlpGate, UNGATED)],
    hugging_face: Dialect {
        prefixes: &["gpt_neox.", ""],
        dims: DimKeys { kv_heads: &[DimFrom::Heads], head_dim: &[DimFrom::HiddenPerHead], ..HF_DIMS },
        cells: &[
            cell(AttnQ, "layers.{}.attention.query_key_value.weight").part(Part::QueryKeyValuePerHead),
            cell(AttnK, "layers.{}.attention.query_key_value.weight").part(Part::QueryKeyValuePerHead),
            cell(AttnV, "layers.{}.attention.query_key_value.weight").part(Part::QueryKeyValuePerHead),
            cell(AttnO, "layers.{}.attention.dense.weight"),
            cell(MlpUp, "layers.{}.mlp.dense_h_to_4h.weight"),
            cell(MlpDown, "layers.{}.mlp.dense_4h_to_h.weight"),
        ],
        others: &[OTHERS, HF_PRE_NORMS],
        root: &[optional(Role::Head, "embed_out.weight"), optional(Role::Head, "lm_head.weight")],
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: &[Key("layer_norm_eps"), Value(1e-5)],
            wiring: WiringFrom::Switch(Switch::Key("use_parallel_residual", true), Wiring::Parallel),
            activation: ActivationFrom::Key { key: "hidden_act", absent: Activation::Gelu, gelu: Activation::Gelu },
            biases: &[(ATTENTION, Presence::As(Switch::Key("attention_bias", true))), (MLP, BIASED)],
            rope: Some(RopeFrom {
                theta: &[Key("rotary_emb_base"), Value(1e4)],
                share: &[Key("rotary_pct"), Value(0.25)],
                ..HF_ROPE
            }),
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: &[
            cell(AttnQ, "blk.{}.attn_qkv.weight").part(Part::QueryKeyValue),
            cell(AttnK, "blk.{}.attn_qkv.weight").part(Part::QueryKeyValue),
            cell(AttnV, "blk.{}.attn_qkv.weight").part(Part::QueryKeyValue),
            cell(AttnO, "blk.{}.attn_output.weight"),
            cell(MlpUp, "blk.{}.ffn_up.weight"),
            cell(MlpDown, "blk.{}.ffn_down.weight"),
        ],
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_PRE_NORM_BIASES, GGUF_BIASES],
        root: &[],
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: GGUF_LAYER_NORM_EPSILON,
            activation: ActivationFrom::Always(Activation::Gelu),
            wiring: WiringFrom::Switch(Switch::Key("use_parallel_residual", true), Wiring::Parallel),
            ..GGUF_ARITHMETIC
        },
    },
};
