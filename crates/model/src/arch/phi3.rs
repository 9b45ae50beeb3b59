//! Phi 3, 3.5 and Phi 4: the Llama layer with q, k, v in one tensor and gate, up in another.
//!
//! ## Switches
//! `num_key_value_heads`, `partial_rotary_factor` (Phi 4 mini), `sliding_window`, `rope_scaling` (longrope),
//! `tie_word_embeddings`.
//!
//! ## Hugging Face names
//! `model.layers.{}.self_attn.qkv_proj.weight` `[H*C + 2*K*C, D]`: q, k, v; `model.layers.{}.mlp.gate_up_proj.weight`
//! `[2*F, D]`: gate, up. A file with q, k and v apart is read as well.
//!
//! ## GGUF names
//! `blk.{}.attn_qkv.weight`, or `attn_q`, `attn_k`, `attn_v`; `blk.{}.ffn_up.weight` holds gate, then up, and there is
//! no `ffn_gate`. Rows keep their order.
//!
//! ## Source
//! transformers `models/phi3` (`Phi3Attention.forward`, `Phi3MLP.forward`); llama.cpp `conversion/phi.py`,
//! `src/models/phi3.cpp`.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};

use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, Neutral, RopeFrom, WindowFrom};
use crate::architecture::usual::{ALL, GGUF_ARITHMETIC, HF_ARITHMETIC, HF_ROPE, HF_WINDOW, NO_BIAS, NO_WINDOW};
use crate::family::{Dialect, Family, Part, cell};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_DIMS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION, HF_ATTENTION_BIASES, HF_DIMS,
    HF_HEADS, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK,
};

pub(super) static FAMILY: Family = Family {
    id: "phi3",
    title: "Phi 3, 3.5 and 4",
    source: include_str!("phi3.rs"),
    model_types: &["phi3"],
    classes: &["Phi3"],
    gguf_architectures: &["phi3"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: HF_DIMS,
        cells: &[
            cell(AttnQ, "layers.{}.self_attn.qkv_proj.weight").part(Part::QueryKeyValue),
            cell(AttnK, "layers.{}.self_attn.qkv_proj.weight").part(Part::QueryKeyValue),
            cell(AttnV, "layers.{}.self_attn.qkv_proj.weight").part(Part::QueryKeyValue),
            cell(AttnO, "layers.{}.self_attn.o_proj.weight"),
            cell(MlpUp, "layers.{}.mlp.gate_up_proj.weight").part(Part::GateUp),
            cell(MlpDown, "layers.{}.mlp.down_proj.weight"),
            cell(MlpGate, "layers.{}.mlp.gate_up_proj.weight").part(Part::GateUp),
            HF_ATTENTION[0],
            HF_ATTENTION[1],
            HF_ATTENTION[2],
        ],
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            epsilon: &[Key("rms_norm_eps"), Value(1e-5)],
            biases: &[(ALL, NO_BIAS)],
            window: HF_WINDOW,
            rope: Some(RopeFrom {
                share: &[Key("partial_rotary_factor")],
                original_context: &[Key("original_max_position_embeddings"), Value(4096.0)],
                yarn_is_longrope: true,
                ..HF_ROPE
            }),
            neutral: &[
                ("attention_bias", Neutral::Bool(false)),
                ("full_attn_mod", Neutral::Number(1.0)),
                ("interpolate_factor", Neutral::Number(1.0)),
                ("lm_head_bias", Neutral::Bool(false)),
                ("mlp_bias", Neutral::Bool(false)),
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
            cell(MlpUp, "blk.{}.ffn_up.weight").part(Part::GateUp),
            cell(MlpDown, "blk.{}.ffn_down.weight"),
            cell(MlpGate, "blk.{}.ffn_up.weight").part(Part::GateUp),
            GGUF_CELLS[0],
            GGUF_CELLS[1],
            GGUF_CELLS[2],
        ],
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_BIASES],
        root: &[],
        arithmetic: Arithmetic {
            window: WindowFrom { size: &[Key("attention.sliding_window")], ..NO_WINDOW },
            ..GGUF_ARITHMETIC
        },
    },
};
