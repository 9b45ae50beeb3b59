//! OLMoE: pre-norm, norms over the whole of q and of k, every MLP a mixture of experts.
//!
//! ## Switches
//! `num_experts`, `num_experts_per_tok`, `norm_topk_prob`, `clip_qkv`, `num_key_value_heads`, `attention_bias`.
//! `intermediate_size` is the F of one expert.
//!
//! ## Hugging Face names
//! As `qwen3_moe`; `self_attn.{q,k}_norm.weight` have the lengths of q and k, not of a head.
//!
//! ## GGUF names
//! As `qwen3_moe`. Rows keep their order.
//!
//! ## Source
//! transformers `models/olmoe`, `conversion_mapping.py`; llama.cpp `conversion/olmo.py`.

use tomo_map::Component::{MlpDown, MlpGate, MlpUp};

use crate::architecture::Span;
use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, Presence, Switch};
use crate::architecture::usual::{GGUF_ARITHMETIC, HF_ARITHMETIC};
use crate::family::{Dialect, DimFrom, DimKeys, Family, OtherRule, Part, Role, cell, optional};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_EXPERT_CELLS, GGUF_EXPERT_DIMS, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_ROUTER,
    GGUF_TRUNK, HF_ATTENTION, HF_ATTENTION_BIASES, HF_DIMS, HF_HEADS, HF_PRE_NORMS, HF_PREFIXES, HF_QK_NORMS, HF_TRUNK,
    SHARED_EXPERTS,
};

const DIMS: DimKeys = DimKeys {
    experts: &[DimFrom::Key("num_experts"), DimFrom::Key("num_local_experts")],
    expert_ffn: &[DimFrom::Key("intermediate_size")],
    ffn: &[],
    ..HF_DIMS
};

const ROUTER: &[OtherRule] = &[optional(Role::Router, "layers.{}.mlp.gate.weight")];

pub(super) static FAMILY: Family = Family {
    id: "olmoe",
    title: "OLMoE",
    source: include_str!("olmoe.rs"),
    model_types: &["olmoe"],
    classes: &["Olmoe"],
    gguf_architectures: &["olmoe"],
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
            cell(MlpUp, "layers.{}.mlp.experts.{e}.up_proj.weight"),
            cell(MlpUp, "layers.{}.mlp.experts.gate_up_proj").part(Part::GateUp).stacked(),
            cell(MlpDown, "layers.{}.mlp.experts.{e}.down_proj.weight"),
            cell(MlpDown, "layers.{}.mlp.experts.down_proj").stacked(),
            cell(MlpGate, "layers.{}.mlp.experts.{e}.gate_proj.weight"),
            cell(MlpGate, "layers.{}.mlp.experts.gate_up_proj").part(Part::GateUp).stacked(),
        ],
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_QK_NORMS, HF_ATTENTION_BIASES, ROUTER, SHARED_EXPERTS],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            epsilon: &[Key("rms_norm_eps"), Value(1e-5)],
            head_norms: Some((Span::All, Presence::As(Switch::Always(true)))),
            clip: &[Key("clip_qkv")],
            experts: Some((&[Key("num_experts_per_tok"), Value(8.0)], Switch::Key("norm_topk_prob", false))),
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_EXPERT_DIMS,
        cells: &[
            GGUF_CELLS[0],
            GGUF_CELLS[1],
            GGUF_CELLS[2],
            GGUF_CELLS[3],
            GGUF_EXPERT_CELLS[0],
            GGUF_EXPERT_CELLS[1],
            GGUF_EXPERT_CELLS[2],
            GGUF_EXPERT_CELLS[3],
            GGUF_EXPERT_CELLS[4],
            GGUF_EXPERT_CELLS[5],
        ],
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_BIASES, GGUF_ROUTER, SHARED_EXPERTS],
        root: &[],
        arithmetic: Arithmetic {
            head_norms: Some((Span::All, Presence::As(Switch::Always(true)))),
            experts: Some((&[Key("expert_used_count")], Switch::Key("expert_weights_norm", false))),
            ..GGUF_ARITHMETIC
        },
    },
};
