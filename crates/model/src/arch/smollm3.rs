//! SmolLM 3: the Llama layer without rotary embedding in every fourth layer.
//!
//! ## Switches
//! `no_rope_layers`, `num_key_value_heads`, `attention_bias`, `mlp_bias`, `use_sliding_window`, `tie_word_embeddings`.
//!
//! ## Hugging Face names
//! As `llama`.
//!
//! ## GGUF names
//! As `llama`, with q and k of every layer in pair order, also where no rotary embedding is applied.
//!
//! ## Source
//! transformers `models/smollm3`; llama.cpp `conversion/smollm.py` (a subclass of `LlamaModel`).

use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, LayersFrom, RopeFrom, Switch, WindowFrom};
use crate::architecture::usual::{
    ATTENTION, ATTENTION_BIAS, GGUF_ARITHMETIC, GGUF_ROPE, HF_ARITHMETIC, HF_ROPE, HF_WINDOW, MLP, MLP_BIAS,
    WINDOWED_BY_NAME,
};
use crate::family::{Dialect, DimFrom, DimKeys, Family};
use crate::names::{
    GGUF_BIASES, GGUF_DIMS, GGUF_PAIRED_CELLS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS,
    HF_HEADS, HF_MLP_BIASES, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "smollm3",
    title: "SmolLM 3",
    source: include_str!("smollm3.rs"),
    model_types: &["smollm3"],
    classes: &["SmolLM3"],
    gguf_architectures: &["smollm3"],
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
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_ATTENTION_BIASES, HF_MLP_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            biases: &[(ATTENTION, ATTENTION_BIAS), (MLP, MLP_BIAS)],
            window: WindowFrom {
                switch: Switch::Key("use_sliding_window", false),
                layers: &[WINDOWED_BY_NAME, LayersFrom::Unrotated],
                ..HF_WINDOW
            },
            rope: Some(RopeFrom {
                theta: &[Key("rope_theta"), Value(2e6)],
                layers: &[
                    LayersFrom::Flags("no_rope_layers"),
                    LayersFrom::AllButEvery(Key("no_rope_layer_interval")),
                    LayersFrom::AllButEvery(Value(4.0)),
                ],
                ..HF_ROPE
            }),
            tied: Switch::Key("tie_word_embeddings", true),
            harmless: &["max_window_layers"],
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
            rope: Some(RopeFrom { layers: &[LayersFrom::AllButEvery(Value(4.0))], ..GGUF_ROPE }),
            ..GGUF_ARITHMETIC
        },
    },
};
