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

use crate::family::{Dialect, Family, OtherRule, Role, optional, other};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_DIMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS, HF_HEADS, HF_PREFIXES,
    HF_TRUNK,
};

const NORMS: &[OtherRule] = &[
    other(Role::Norm, "norm.bias"),
    other(Role::Norm, "layers.{}.input_layernorm.weight"),
    other(Role::Norm, "layers.{}.input_layernorm.bias"),
    optional(Role::Norm, "layers.{}.post_attention_layernorm.weight"),
    optional(Role::Norm, "layers.{}.post_attention_layernorm.bias"),
    optional(Role::Norm, "layers.{}.self_attn.q_layernorm.norms.{*}.weight"),
    optional(Role::Norm, "layers.{}.self_attn.k_layernorm.norms.{*}.weight"),
];

const GGUF_NORMS: &[OtherRule] = &[
    other(Role::Norm, "blk.{}.attn_norm.weight"),
    other(Role::Norm, "blk.{}.attn_norm.bias"),
    optional(Role::Norm, "blk.{}.ffn_norm.weight"),
    optional(Role::Norm, "blk.{}.ffn_norm.bias"),
    optional(Role::Norm, "blk.{}.attn_q_norm.weight"),
    optional(Role::Norm, "blk.{}.attn_k_norm.weight"),
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
        dims: HF_DIMS,
        cells: HF_CELLS,
        others: &[HF_TRUNK, NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_NORMS, GGUF_BIASES],
        root: &[],
    },
};
