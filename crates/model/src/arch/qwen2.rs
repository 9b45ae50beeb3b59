//! Qwen 2 and 2.5: the Llama layer with biases on q, k and v.
//!
//! ## Switches
//! `num_key_value_heads`, `tie_word_embeddings`, `use_sliding_window` with `max_window_layers`. The biases are not a
//! switch: every member has them, and none on o.
//!
//! ## Hugging Face names
//! As `llama`, with `model.layers.{}.self_attn.{q,k,v}_proj.bias`.
//!
//! ## GGUF names
//! As `llama`, with `blk.{}.attn_{q,k,v}.bias`; rows keep their order.
//!
//! ## Source
//! transformers `models/qwen2`; llama.cpp `conversion/qwen.py`.

use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, LayersFrom, Switch, WindowFrom};
use crate::architecture::usual::{BIASED, GGUF_ARITHMETIC, HF_ARITHMETIC, MLP, NO_BIAS, O, QKV, WINDOWED_BY_NAME};
use crate::family::{Dialect, DimFrom, DimKeys, Family, OtherRule, Role, other};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_DIMS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_CELLS, HF_DIMS, HF_HEADS, HF_PRE_NORMS,
    HF_PREFIXES, HF_TRUNK,
};

const BIASES: &[OtherRule] = &[
    other(Role::Bias, "layers.{}.self_attn.q_proj.bias"),
    other(Role::Bias, "layers.{}.self_attn.k_proj.bias"),
    other(Role::Bias, "layers.{}.self_attn.v_proj.bias"),
];

pub(super) static FAMILY: Family = Family {
    id: "qwen2",
    title: "Qwen 2 and 2.5",
    source: include_str!("qwen2.rs"),
    model_types: &["qwen2"],
    classes: &["Qwen2"],
    gguf_architectures: &["qwen2"],
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
            ..HF_DIMS
        },
        cells: HF_CELLS,
        others: &[HF_TRUNK, HF_PRE_NORMS, BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            biases: &[(QKV, BIASED), (O, NO_BIAS), (MLP, NO_BIAS)],
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
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_BIASES],
        root: &[],
        arithmetic: GGUF_ARITHMETIC,
    },
};
