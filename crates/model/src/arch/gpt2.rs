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

use crate::family::DimFrom::{Heads, Hidden, HiddenPerHead, Key};
use crate::family::{Dialect, DimKeys, Family, OtherRule, Part, Role, cell, optional, other};
use crate::names::{
    GGUF_BIASES, GGUF_DIMS, GGUF_PRE_NORM_BIASES, GGUF_PRE_NORMS, GGUF_TRUNK, HF_DIMS, HF_HEADS, UNGATED,
};

const OTHERS: &[OtherRule] = &[
    other(Role::Embedding, "wte.weight"),
    other(Role::Positions, "wpe.weight"),
    other(Role::Norm, "ln_f.weight"),
    other(Role::Norm, "ln_f.bias"),
    other(Role::Norm, "h.{}.ln_1.weight"),
    other(Role::Norm, "h.{}.ln_1.bias"),
    other(Role::Norm, "h.{}.ln_2.weight"),
    other(Role::Norm, "h.{}.ln_2.bias"),
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
            layers: &[Key("n_layer")],
            hidden: &[Key("n_embd")],
            heads: &[Key("n_head")],
            kv_heads: &[Heads],
            head_dim: &[HiddenPerHead],
            ffn: &[Key("n_inner"), Hidden(4)],
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
    },
};
