//! Gemma 1: the Llama layer with a wide head, a norm weight that is stored minus one, and tied embeddings.
//!
//! ## Switches
//! `head_dim` (256), `num_key_value_heads` (1 in the 2B), `attention_bias`.
//!
//! ## Hugging Face names
//! As `llama`; no `lm_head.weight`.
//!
//! ## GGUF names
//! As `llama`; rows keep their order, the converter adds one to every norm.
//!
//! ## Source
//! transformers `models/gemma`; llama.cpp `conversion/gemma.py`.

use crate::architecture::Activation;
use crate::architecture::rules::NumberFrom::SqrtHidden;
use crate::architecture::rules::{ActivationFrom, Arithmetic, Neutral, Switch};
use crate::architecture::usual::{GGUF_ARITHMETIC, HF_ARITHMETIC};
use crate::family::{Dialect, DimFrom, DimKeys, Family};
use crate::names::{
    GGUF_CELLS, GGUF_DIMS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS, HF_HEADS, HF_PRE_NORMS,
    HF_PREFIXES, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "gemma",
    title: "Gemma 1",
    source: include_str!("gemma.rs"),
    model_types: &["gemma"],
    classes: &["Gemma"],
    gguf_architectures: &["gemma"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: DimKeys {
            kv_heads: &[
                DimFrom::Key("num_key_value_heads"),
                DimFrom::ValueIfAbsent("num_key_value_heads", 16),
                DimFrom::Heads,
            ],
            head_dim: &[DimFrom::Key("head_dim"), DimFrom::ValueIfAbsent("head_dim", 256), DimFrom::HiddenPerHead],
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            norm_offset: 1.0,
            activation: ActivationFrom::Key {
                key: "hidden_act",
                absent: Activation::GeluTanh,
                gelu: Activation::GeluTanh,
            },
            embedding_scale: &[SqrtHidden],
            tied: Switch::Key("tie_word_embeddings", true),
            neutral: &[("hidden_activation", Neutral::Text(&["gelu_pytorch_tanh"]))],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS],
        root: &[],
        arithmetic: Arithmetic {
            activation: ActivationFrom::Always(Activation::GeluTanh),
            embedding_scale: &[SqrtHidden],
            ..GGUF_ARITHMETIC
        },
    },
};
