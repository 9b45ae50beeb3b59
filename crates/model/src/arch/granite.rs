//! Granite 3, dense: the Llama layer with four constant multipliers, none of them in the weights.
//!
//! ## Switches
//! `embedding_multiplier`, `attention_multiplier`, `residual_multiplier`, `logits_scaling`, `attention_bias`,
//! `mlp_bias`, `num_key_value_heads`, `tie_word_embeddings`.
//!
//! ## Hugging Face names
//! As `llama`.
//!
//! ## GGUF names
//! As `llama`, with q and k in pair order as there.
//!
//! ## Source
//! transformers `models/granite`; llama.cpp `conversion/granite.py` (a subclass of `LlamaModel`).

use crate::architecture::rules::NumberFrom::{InverseSqrtHeadDim, Key, Reciprocal, Value};
use crate::architecture::rules::{Arithmetic, Neutral};
use crate::architecture::usual::{ATTENTION, ATTENTION_BIAS, GGUF_ARITHMETIC, HF_ARITHMETIC, MLP, MLP_BIAS};
use crate::family::{Dialect, Family};
use crate::names::{
    GGUF_BIASES, GGUF_DIMS, GGUF_PAIRED_CELLS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS,
    HF_HEADS, HF_MLP_BIASES, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "granite",
    title: "Granite 3, dense",
    source: include_str!("granite.rs"),
    model_types: &["granite"],
    classes: &["Granite"],
    gguf_architectures: &["granite"],
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
            scale: &[Key("attention_multiplier"), Value(1.0)],
            embedding_scale: &[Key("embedding_multiplier")],
            residual_scale: &[Key("residual_multiplier")],
            logit_scale: &[Reciprocal("logits_scaling")],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_PAIRED_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_BIASES],
        root: &[],
        arithmetic: Arithmetic {
            scale: &[Key("attention.scale"), InverseSqrtHeadDim],
            embedding_scale: &[Key("embedding_scale")],
            residual_scale: &[Key("residual_scale")],
            logit_scale: &[Reciprocal("logit_scale")],
            neutral: &[("rope.scaling.finetuned", Neutral::Bool(true))],
            ..GGUF_ARITHMETIC
        },
    },
};
