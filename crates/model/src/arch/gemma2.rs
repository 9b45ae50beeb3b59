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

use crate::architecture::Activation;
use crate::architecture::rules::NumberFrom::{
    InverseSqrt, InverseSqrtHeadDim, InverseSqrtHiddenPerHead, Key, SqrtHidden, Value,
};
use crate::architecture::rules::{ActivationFrom, Arithmetic, LayersFrom, Neutral, Switch, WindowFrom};
use crate::architecture::usual::{
    GGUF_ARITHMETIC, GGUF_PATTERN, HF_ARITHMETIC, HF_WINDOW, NO_WINDOW, WINDOWED_BY_NAME,
};
use crate::family::{Dialect, DimFrom, DimKeys, Family};
use crate::names::{
    GGUF_CELLS, GGUF_DIMS, GGUF_POST_NORMS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS,
    HF_HEADS, HF_PREFIXES, HF_SANDWICH_NORMS, HF_TRUNK,
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
        dims: DimKeys {
            kv_heads: &[
                DimFrom::Key("num_key_value_heads"),
                DimFrom::ValueIfAbsent("num_key_value_heads", 4),
                DimFrom::Heads,
            ],
            head_dim: &[DimFrom::Key("head_dim"), DimFrom::ValueIfAbsent("head_dim", 256), DimFrom::HiddenPerHead],
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_SANDWICH_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            norm_offset: 1.0,
            activation: ActivationFrom::Key {
                key: "hidden_activation",
                absent: Activation::GeluTanh,
                gelu: Activation::Gelu,
            },
            scale: &[InverseSqrt("query_pre_attn_scalar"), Value(0.0625)],
            softcap: &[Key("attn_logit_softcapping"), Value(50.0)],
            window: WindowFrom {
                size: &[Key("sliding_window"), Value(4096.0)],
                layers: &[WINDOWED_BY_NAME, LayersFrom::AllButEvery(Value(2.0))],
                ..HF_WINDOW
            },
            embedding_scale: &[SqrtHidden],
            logit_softcap: &[Key("final_logit_softcapping"), Value(30.0)],
            tied: Switch::Key("tie_word_embeddings", true),
            neutral: &[("hidden_act", Neutral::Text(&["gelu_pytorch_tanh"]))],
            harmless: &["sliding_window_size"],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_POST_NORMS],
        root: &[],
        arithmetic: Arithmetic {
            activation: ActivationFrom::Always(Activation::GeluTanh),
            scale: &[InverseSqrtHiddenPerHead(46), InverseSqrtHeadDim],
            softcap: &[Key("attn_logit_softcapping"), Value(50.0)],
            window: WindowFrom {
                size: &[Key("attention.sliding_window"), Value(4096.0)],
                layers: &[GGUF_PATTERN[0], GGUF_PATTERN[1], LayersFrom::AllButEvery(Value(2.0))],
                ..NO_WINDOW
            },
            embedding_scale: &[SqrtHidden],
            logit_softcap: &[Key("final_logit_softcapping"), Value(30.0)],
            ..GGUF_ARITHMETIC
        },
    },
};
