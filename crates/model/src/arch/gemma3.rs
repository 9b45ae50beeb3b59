//! Gemma 3, the text model, alone or inside the multimodal one: Gemma 2 with norms on queries and keys instead of soft
//! caps.
//!
//! ## Switches
//! `head_dim`, `num_key_value_heads`, `query_pre_attn_scalar`, `layer_types` (five windowed, one full),
//! `rope_local_base_freq`, `attention_bias`. The released multimodal configs leave out `num_attention_heads`,
//! `num_key_value_heads` and `head_dim` when they are the reference implementation's defaults (8, 4, 256).
//!
//! ## Hugging Face names
//! Text: `model.layers.{}.…` as `gemma2`, with `self_attn.{q,k}_norm.weight`. Inside a multimodal checkpoint the prefix
//! is `model.language_model.` or, in older files, `language_model.model.`; the config is then `text_config`.
//!
//! ## GGUF names
//! As `gemma2`, with `blk.{}.attn_{q,k}_norm.weight`; the vision tower is in a file of its own.
//!
//! ## Source
//! transformers `models/gemma3`; llama.cpp `conversion/gemma.py`.

use crate::family::DimFrom::{Key, Value};
use crate::family::{Dialect, DimKeys, Family};
use crate::names::{
    GGUF_CELLS, GGUF_DIMS, GGUF_POST_NORMS, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS,
    HF_DIMS, HF_HEADS, HF_MLP_NORMS, HF_PRE_NORMS, HF_PREFIXES, HF_QK_NORMS, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "gemma3",
    title: "Gemma 3",
    source: include_str!("gemma3.rs"),
    model_types: &["gemma3", "gemma3_text"],
    classes: &["Gemma3"],
    gguf_architectures: &["gemma3"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: DimKeys {
            heads: &[Key("num_attention_heads"), Value(8)],
            kv_heads: &[Key("num_key_value_heads"), Value(4)],
            head_dim: &[Key("head_dim"), Value(256)],
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_MLP_NORMS, HF_QK_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_POST_NORMS, GGUF_QK_NORMS],
        root: &[],
    },
};
