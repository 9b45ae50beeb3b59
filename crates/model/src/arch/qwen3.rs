//! Qwen 3, dense: the Llama layer with a norm on the queries and keys of each head.
//!
//! ## Switches
//! `head_dim` (128 in every released member, whatever D / H is), `attention_bias`, `tie_word_embeddings`,
//! `use_sliding_window`.
//!
//! ## Hugging Face names
//! As `llama`, with `model.layers.{}.self_attn.{q,k}_norm.weight` of length C.
//!
//! ## GGUF names
//! As `llama`, with `blk.{}.attn_{q,k}_norm.weight`; rows keep their order.
//!
//! ## Source
//! transformers `models/qwen3`; llama.cpp `conversion/qwen.py`.

use crate::family::{Dialect, Family};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_DIMS, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS,
    HF_DIMS, HF_HEADS, HF_PRE_NORMS, HF_PREFIXES, HF_QK_NORMS, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "qwen3",
    title: "Qwen 3",
    source: include_str!("qwen3.rs"),
    model_types: &["qwen3"],
    classes: &["Qwen3"],
    gguf_architectures: &["qwen3"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: HF_DIMS,
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_QK_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_BIASES],
        root: &[],
    },
};
