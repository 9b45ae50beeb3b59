//! Mixtral: Mistral's attention, the MLP a mixture of experts. One cell per expert and projection.
//!
//! ## Switches
//! `num_local_experts`, `num_experts_per_tok`, `num_key_value_heads`, `head_dim`, `sliding_window`.
//!
//! ## Hugging Face names
//! `model.layers.{}.block_sparse_moe.experts.{e}.w1.weight` (gate), `w3` (up), `w2` (down); the router is
//! `block_sparse_moe.gate.weight` and is no cell. Files saved as transformers holds them in memory have stacks
//! `mlp.experts.gate_up_proj` `[E, 2*F, D]` (gate, up) and `mlp.experts.down_proj` `[E, D, F]`.
//!
//! ## GGUF names
//! Architecture `llama` with `llama.expert_count`: `blk.{}.ffn_{up,down,gate}_exps.weight` `[E, out, in]`, in files
//! made before 2024-04 one tensor per expert, `blk.{}.ffn_up.{e}.weight`; the router is `ffn_gate_inp`. q and k in pair
//! order as in `llama`.
//!
//! ## Source
//! transformers `models/mixtral`, `conversion_mapping.py`; llama.cpp `conversion/llama.py`.

use tomo_map::Component::{MlpDown, MlpGate, MlpUp};

use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, RopeFrom, Switch};
use crate::architecture::usual::{ALL, GGUF_ARITHMETIC, HF_ARITHMETIC, HF_ROPE, HF_WINDOW, NO_BIAS};
use crate::family::{Dialect, DimFrom, DimKeys, Family, OtherRule, Part, Role, cell, optional};
use crate::names::{
    GGUF_BIASES, GGUF_EXPERT_CELLS, GGUF_EXPERT_DIMS, GGUF_PAIRED_CELLS, GGUF_PRE_NORMS, GGUF_ROUTER, GGUF_TRUNK,
    HF_ATTENTION, HF_ATTENTION_BIASES, HF_DIMS, HF_HEADS, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK, SHARED_EXPERTS,
};

const DIMS: DimKeys = DimKeys {
    kv_heads: &[DimFrom::Key("num_key_value_heads"), DimFrom::ValueIfAbsent("num_key_value_heads", 8), DimFrom::Heads],
    experts: &[DimFrom::Key("num_local_experts"), DimFrom::Key("num_experts")],
    expert_ffn: &[DimFrom::Key("intermediate_size")],
    ffn: &[],
    ..HF_DIMS
};

const ROUTER: &[OtherRule] = &[
    optional(Role::Router, "layers.{}.block_sparse_moe.gate.weight"),
    optional(Role::Router, "layers.{}.mlp.gate.weight"),
];

pub(super) static FAMILY: Family = Family {
    id: "mixtral",
    title: "Mixtral",
    source: include_str!("mixtral.rs"),
    model_types: &["mixtral"],
    classes: &["Mixtral"],
    gguf_architectures: &["llama"],
    experts: true,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: DIMS,
        cells: &[
            HF_ATTENTION[0],
            HF_ATTENTION[1],
            HF_ATTENTION[2],
            HF_ATTENTION[3],
            cell(MlpUp, "layers.{}.block_sparse_moe.experts.{e}.w3.weight"),
            cell(MlpUp, "layers.{}.mlp.experts.gate_up_proj").part(Part::GateUp).stacked(),
            cell(MlpDown, "layers.{}.block_sparse_moe.experts.{e}.w2.weight"),
            cell(MlpDown, "layers.{}.mlp.experts.down_proj").stacked(),
            cell(MlpGate, "layers.{}.block_sparse_moe.experts.{e}.w1.weight"),
            cell(MlpGate, "layers.{}.mlp.experts.gate_up_proj").part(Part::GateUp).stacked(),
        ],
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_ATTENTION_BIASES, ROUTER, SHARED_EXPERTS],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            epsilon: &[Key("rms_norm_eps"), Value(1e-5)],
            biases: &[(ALL, NO_BIAS)],
            window: HF_WINDOW,
            rope: Some(RopeFrom { theta: &[Key("rope_theta"), Value(1e6)], ..HF_ROPE }),
            experts: Some((&[Key("num_experts_per_tok"), Value(2.0)], Switch::Always(true))),
            harmless: &["router_jitter_noise"],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_EXPERT_DIMS,
        cells: &[
            GGUF_PAIRED_CELLS[0],
            GGUF_PAIRED_CELLS[1],
            GGUF_PAIRED_CELLS[2],
            GGUF_PAIRED_CELLS[3],
            GGUF_EXPERT_CELLS[0],
            GGUF_EXPERT_CELLS[1],
            GGUF_EXPERT_CELLS[2],
            GGUF_EXPERT_CELLS[3],
            GGUF_EXPERT_CELLS[4],
            GGUF_EXPERT_CELLS[5],
        ],
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_BIASES, GGUF_ROUTER, SHARED_EXPERTS],
        root: &[],
        arithmetic: Arithmetic {
            experts: Some((&[Key("expert_used_count")], Switch::Key("expert_weights_norm", true))),
            ..GGUF_ARITHMETIC
        },
    },
};
