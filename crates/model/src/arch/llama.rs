//! Llama 1 to 3, Mistral, SmolLM 1 and 2, and the many models that were saved under their names: pre-norm, gated MLP,
//! grouped queries, seven separate matrices per layer.
//!
//! ## Switches
//! `num_key_value_heads` (absent: H), `head_dim` (absent or null: D / H), `attention_bias`, `mlp_bias`,
//! `tie_word_embeddings`, `rope_scaling` (llama3), `sliding_window` (Mistral).
//!
//! ## Hugging Face names
//! `model.layers.{}.self_attn.{q,k,v,o}_proj.weight`, `model.layers.{}.mlp.{up,down,gate}_proj.weight`.
//!
//! ## GGUF names
//! `blk.{}.attn_{q,k,v,output}.weight`, `blk.{}.ffn_{up,down,gate}.weight`. The converter reorders the rows of each
//! head of q and k so that rotary pairs are neighbours; loading puts them back. Mistral and SmolLM2 are `llama` there
//! too, and so is Mixtral, told apart by `llama.expert_count`.
//!
//! ## Source
//! transformers `models/llama`, `models/mistral`; llama.cpp `conversion/llama.py` (`LlamaModel.permute`).

use crate::architecture::rules::NumberFrom::{KeyOfType, ValueOfType};
use crate::architecture::rules::{Arithmetic, WindowFrom};
use crate::architecture::usual::{ATTENTION, ATTENTION_BIAS, GGUF_ARITHMETIC, HF_ARITHMETIC, HF_WINDOW, MLP, MLP_BIAS};
use crate::family::{Dialect, Family};
use crate::names::{
    GGUF_BIASES, GGUF_DIMS, GGUF_PAIRED_CELLS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS,
    HF_HEADS, HF_MLP_BIASES, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "llama",
    title: "Llama, Mistral, SmolLM2",
    source: include_str!("llama.rs"),
    model_types: &["llama", "mistral"],
    classes: &["Llama", "LLaMA", "Mistral"],
    gguf_architectures: &["llama"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: HF_DIMS,
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_ATTENTION_BIASES, HF_MLP_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            biases: &[(ATTENTION, ATTENTION_BIAS), (MLP, MLP_BIAS)],
            window: WindowFrom {
                size: &[KeyOfType("mistral", "sliding_window"), ValueOfType("mistral", 4096.0)],
                ..HF_WINDOW
            },
            harmless: &["is_llama_config"],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_PAIRED_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_BIASES],
        root: &[],
        arithmetic: GGUF_ARITHMETIC,
    },
};
