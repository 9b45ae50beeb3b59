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

use crate::family::{Dialect, Family, OtherRule, Role, cell, optional, other};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_DIMS, GGUF_PRE_NORM_BIASES, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION,
    HF_ATTENTION_BIASES, HF_DIMS, HF_HEADS, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK, UNGATED,
};

const BIASES: &[OtherRule] = &[
    other(Role::Norm, "norm.bias"),
    other(Role::Norm, "layers.{}.input_layernorm.bias"),
    other(Role::Norm, "layers.{}.post_attention_layernorm.bias"),
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
        dims: HF_DIMS,
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
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: &[GGUF_CELLS[0], GGUF_CELLS[1], GGUF_CELLS[2], GGUF_CELLS[3], GGUF_CELLS[4], GGUF_CELLS[5]],
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_PRE_NORM_BIASES, GGUF_BIASES],
        root: &[],
    },
};
