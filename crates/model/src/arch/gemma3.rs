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

use crate::architecture::rules::NumberFrom::{
    InverseSqrt, InverseSqrtHeadDim, InverseSqrtHiddenPerHead, Key, SqrtHidden, Value,
};
use crate::architecture::rules::{
    ActivationFrom, Arithmetic, LayersFrom, Neutral, Presence, RopeFrom, Switch, WindowFrom,
};
use crate::architecture::usual::{
    GGUF_ARITHMETIC, GGUF_PATTERN, GGUF_ROPE, HF_ARITHMETIC, HF_ROPE, HF_WINDOW, NO_WINDOW, WINDOWED_BY_NAME,
};
use crate::architecture::{Activation, Span};
use crate::family::{Dialect, DimFrom, DimKeys, Family};
use crate::names::{
    GGUF_CELLS, GGUF_DIMS, GGUF_POST_NORMS, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS,
    HF_DIMS, HF_HEADS, HF_PREFIXES, HF_QK_NORMS, HF_SANDWICH_NORMS, HF_TRUNK,
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
            heads: &[DimFrom::Key("num_attention_heads"), DimFrom::Value(8)],
            kv_heads: &[DimFrom::Key("num_key_value_heads"), DimFrom::Value(4)],
            head_dim: &[DimFrom::Key("head_dim"), DimFrom::Value(256)],
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_SANDWICH_NORMS, HF_QK_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            norm_offset: 1.0,
            activation: ActivationFrom::Key {
                key: "hidden_activation",
                absent: Activation::GeluTanh,
                gelu: Activation::Gelu,
            },
            scale: &[InverseSqrt("query_pre_attn_scalar"), Value(0.0625)],
            head_norms: Some((Span::Head, Presence::As(Switch::Always(true)))),
            window: WindowFrom {
                size: &[Key("sliding_window"), Value(4096.0)],
                layers: &[
                    WINDOWED_BY_NAME,
                    LayersFrom::AllButEvery(Key("sliding_window_pattern")),
                    LayersFrom::AllButEvery(Value(6.0)),
                ],
                ..HF_WINDOW
            },
            rope: Some(RopeFrom {
                theta: &[Key("rope_theta"), Value(1e6)],
                local_theta: &[Key("rope_local_base_freq"), Value(1e4)],
                ..HF_ROPE
            }),
            embedding_scale: &[SqrtHidden],
            logit_softcap: &[Key("final_logit_softcapping")],
            tied: Switch::Key("tie_word_embeddings", true),
            neutral: &[("hidden_act", Neutral::Text(&["gelu_pytorch_tanh"]))],
            harmless: &["_sliding_window_pattern"],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_POST_NORMS, GGUF_QK_NORMS],
        root: &[],
        arithmetic: Arithmetic {
            activation: ActivationFrom::Always(Activation::GeluTanh),
            scale: &[InverseSqrtHiddenPerHead(62), InverseSqrtHeadDim],
            head_norms: Some((Span::Head, Presence::As(Switch::Always(true)))),
            window: WindowFrom {
                size: &[Key("attention.sliding_window")],
                layers: &[GGUF_PATTERN[0], GGUF_PATTERN[1], LayersFrom::AllButEvery(Value(6.0))],
                ..NO_WINDOW
            },
            rope: Some(RopeFrom { local_theta: &[Key("rope.freq_base_swa"), Value(1e4)], ..GGUF_ROPE }),
            embedding_scale: &[SqrtHidden],
            logit_softcap: &[Key("final_logit_softcapping")],
            ..GGUF_ARITHMETIC
        },
    },
};
