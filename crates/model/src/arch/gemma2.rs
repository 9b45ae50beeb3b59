//! Gemma 2: norms before and after both halves of the layer, soft caps on scores and logits, every other layer
//! windowed.
//!
//! ## Switches
//! `head_dim`, `num_key_value_heads`, `query_pre_attn_scalar`, `attn_logit_softcapping`, `final_logit_softcapping`,
//! `sliding_window`, `attention_bias`.
//!
//! ## Hugging Face names
//! As `llama`, with four norms per layer: `input`, `post_attention`, `pre_feedforward`, `post_feedforward`.
//!
//! ## GGUF names
//! As `llama`, norms `attn_norm`, `post_attention_norm`, `ffn_norm`, `post_ffw_norm`; rows keep their order.
//!
//! ## Source
//! transformers `models/gemma2`; llama.cpp `conversion/gemma.py`.

use crate::family::{Dialect, Family};
use crate::names::{
    GGUF_CELLS, GGUF_DIMS, GGUF_POST_NORMS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS,
    HF_HEADS, HF_MLP_NORMS, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "gemma2",
    title: "Gemma 2",
    source: include_str!("gemma2.rs"),
    model_types: &["gemma2"],
    classes: &["Gemma2"],
    gguf_architectures: &["gemma2"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: HF_DIMS,
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_MLP_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_POST_NORMS],
        root: &[],
    },
};
