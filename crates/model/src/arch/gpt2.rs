//! GPT-2: learned positions, layer norms, q, k, v in one transposed tensor, an MLP without gate.
//!
//! ## Switches
//! `n_inner` (absent or null: 4 D), `scale_attn_by_inverse_layer_idx`, `reorder_and_upcast_attn`. K = H. The column
//! `mlp.gate` is missing.
//!
//! ## Hugging Face names
//! `transformer.h.{}.attn.c_attn.weight` `[D, 3*D]`: q, k, v side by side; `attn.c_proj`, `mlp.c_fc`, `mlp.c_proj`. All
//! are `Conv1D`, stored `[in, out]`: loading transposes them. The first releases have no `transformer.` and carry masks
//! (`attn.bias`).
//!
//! ## GGUF names
//! `blk.{}.attn_qkv.weight` `[3*D, D]`, `attn_output`, `ffn_up`, `ffn_down`: the converter transposes them.
//!
//! ## Source
//! transformers `models/gpt2`, `pytorch_utils.Conv1D`; llama.cpp `conversion/gpt2.py`.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};

use crate::architecture::rules::NumberFrom::{InverseSqrtHeadDim, Key, Value, ValueUnless};
use crate::architecture::rules::{ActivationFrom, Arithmetic, Switch};
use crate::architecture::usual::{ALL, BIASED, GGUF_ARITHMETIC, GGUF_LAYER_NORM_EPSILON, HF_ARITHMETIC};
use crate::architecture::{Activation, NormKind};
use crate::family::{Dialect, DimFrom, DimKeys, Family, NormPlace, OtherRule, Part, Role, cell, norm, optional, other};
use crate::names::{
    GGUF_BIASES, GGUF_DIMS, GGUF_PRE_NORM_BIASES, GGUF_PRE_NORMS, GGUF_TRUNK, HF_DIMS, HF_HEADS, UNGATED,
};

const OTHERS: &[OtherRule] = &[
    other(Role::Embedding, "wte.weight"),
    other(Role::Positions, "wpe.weight"),
    norm(NormPlace::Final, "ln_f.weight"),
    norm(NormPlace::Final, "ln_f.bias"),
    norm(NormPlace::AttentionIn, "h.{}.ln_1.weight"),
    norm(NormPlace::AttentionIn, "h.{}.ln_1.bias"),
    norm(NormPlace::MlpIn, "h.{}.ln_2.weight"),
    norm(NormPlace::MlpIn, "h.{}.ln_2.bias"),
    other(Role::Bias, "h.{}.attn.c_attn.bias"),
    other(Role::Bias, "h.{}.attn.c_proj.bias"),
    other(Role::Bias, "h.{}.mlp.c_fc.bias"),
    other(Role::Bias, "h.{}.mlp.c_proj.bias"),
    optional(Role::Buffer, "h.{}.attn.bias"),
    optional(Role::Buffer, "h.{}.attn.masked_bias"),
];

pub(super) static FAMILY: Family = Family {
    id: "gpt2",
    title: "GPT-2",
    source: include_str!("gpt2.rs"),
    model_types: &["gpt2"],
    classes: &["GPT2"],
    gguf_architectures: &["gpt2"],
    experts: false,
    missing: &[(MlpGate, UNGATED)],
    hugging_face: Dialect {
        prefixes: &["transformer.", ""],
        dims: DimKeys {
            layers: &[DimFrom::Key("n_layer")],
            hidden: &[DimFrom::Key("n_embd")],
            heads: &[DimFrom::Key("n_head")],
            kv_heads: &[DimFrom::Heads],
            head_dim: &[DimFrom::HiddenPerHead],
            ffn: &[DimFrom::Key("n_inner"), DimFrom::Hidden(4)],
            ..HF_DIMS
        },
        cells: &[
            cell(AttnQ, "h.{}.attn.c_attn.weight").part(Part::QueryKeyValue).transposed(),
            cell(AttnK, "h.{}.attn.c_attn.weight").part(Part::QueryKeyValue).transposed(),
            cell(AttnV, "h.{}.attn.c_attn.weight").part(Part::QueryKeyValue).transposed(),
            cell(AttnO, "h.{}.attn.c_proj.weight").transposed(),
            cell(MlpUp, "h.{}.mlp.c_fc.weight").transposed(),
            cell(MlpDown, "h.{}.mlp.c_proj.weight").transposed(),
        ],
        others: &[OTHERS],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: &[Key("layer_norm_epsilon"), Value(1e-5)],
            activation: ActivationFrom::Key {
                key: "activation_function",
                absent: Activation::GeluTanh,
                gelu: Activation::Gelu,
            },
            biases: &[(ALL, BIASED)],
            scale: &[ValueUnless("scale_attn_weights", 1.0), InverseSqrtHeadDim],
            scale_by_depth: Some("scale_attn_by_inverse_layer_idx"),
            rope: None,
            tied: Switch::Key("tie_word_embeddings", true),
            context: &[Key("n_positions")],
            harmless: &[
                "n_ctx",
                "predict_special_tokens",
                "reorder_and_upcast_attn",
                "summary_activation",
                "summary_first_dropout",
                "summary_proj_to_labels",
                "summary_type",
                "summary_use_proj",
            ],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: &[
            cell(AttnQ, "blk.{}.attn_qkv.weight").part(Part::QueryKeyValue),
            cell(AttnK, "blk.{}.attn_qkv.weight").part(Part::QueryKeyValue),
            cell(AttnV, "blk.{}.attn_qkv.weight").part(Part::QueryKeyValue),
            cell(AttnO, "blk.{}.attn_output.weight"),
            cell(MlpUp, "blk.{}.ffn_up.weight"),
            cell(MlpDown, "blk.{}.ffn_down.weight"),
        ],
        others: &[
            GGUF_TRUNK,
            &[other(Role::Positions, "position_embd.weight")],
            GGUF_PRE_NORMS,
            GGUF_PRE_NORM_BIASES,
            GGUF_BIASES,
        ],
        root: &[],
        arithmetic: Arithmetic {
            norm: NormKind::Layer,
            epsilon: GGUF_LAYER_NORM_EPSILON,
            activation: ActivationFrom::Always(Activation::GeluTanh),
            rope: None,
            ..GGUF_ARITHMETIC
        },
    },
};
