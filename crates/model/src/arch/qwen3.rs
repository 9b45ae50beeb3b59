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

use crate::architecture::Span;
use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, LayersFrom, Presence, Switch, WindowFrom};
use crate::architecture::usual::{GGUF_ARITHMETIC, HF_ARITHMETIC, WINDOWED_BY_NAME};
use crate::family::{Dialect, DimFrom, DimKeys, Family};
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
        dims: DimKeys {
            kv_heads: &[
                DimFrom::Key("num_key_value_heads"),
                DimFrom::ValueIfAbsent("num_key_value_heads", 32),
                DimFrom::Heads,
            ],
            head_dim: &[DimFrom::Key("head_dim"), DimFrom::ValueIfAbsent("head_dim", 128), DimFrom::HiddenPerHead],
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_QK_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            head_norms: Some((Span::Head, Presence::As(Switch::Always(true)))),
            window: WindowFrom {
                switch: Switch::Key("use_sliding_window", false),
                size: &[Key("sliding_window"), Value(4096.0)],
                layers: &[WINDOWED_BY_NAME, LayersFrom::From(Key("max_window_layers")), LayersFrom::From(Value(28.0))],
            },
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_BIASES],
        root: &[],
        arithmetic: Arithmetic {
            head_norms: Some((Span::Head, Presence::As(Switch::Always(true)))),
            ..GGUF_ARITHMETIC
        },
    },
};
