//! Qwen 3, mixture of experts: Qwen 3's attention, the MLP a mixture of many small experts, in some layers perhaps
//! dense.
//!
//! ## Switches
//! `num_experts`, `moe_intermediate_size` (F of an expert), `intermediate_size` (F of a dense layer), `mlp_only_layers`
//! and `decoder_sparse_step` (which layers are dense: seen from the names), `norm_topk_prob`, `attention_bias`.
//!
//! ## Hugging Face names
//! `model.layers.{}.mlp.experts.{e}.{up,down,gate}_proj.weight`, in dense layers `mlp.{up,down,gate}_proj.weight`. The
//! router is `mlp.gate.weight` and is no cell. Files saved as transformers holds them in memory have stacks
//! `mlp.experts.gate_up_proj` `[E, 2*F, D]` (gate, up) and `mlp.experts.down_proj` `[E, D, F]`. A shared expert has no
//! column: such a file is refused.
//!
//! ## GGUF names
//! `blk.{}.ffn_{up,down,gate}_exps.weight` `[E, out, in]`; the router is `ffn_gate_inp`. Rows keep their order. The
//! architecture has no dense layers there.
//!
//! ## Source
//! transformers `models/qwen3_moe`, `conversion_mapping.py`; llama.cpp `conversion/qwen.py`.

use tomo_map::Component::{MlpDown, MlpGate, MlpUp};

use crate::architecture::Span;
use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, Presence, Switch, WindowFrom};
use crate::architecture::usual::{GGUF_ARITHMETIC, HF_ARITHMETIC, HF_WINDOW};
use crate::family::{Dialect, DimFrom, DimKeys, Family, OtherRule, Part, Role, cell, optional};
use crate::names::{
    GGUF_BIASES, GGUF_CELLS, GGUF_EXPERT_CELLS, GGUF_EXPERT_DIMS, GGUF_PRE_NORMS, GGUF_QK_NORMS, GGUF_ROUTER,
    GGUF_TRUNK, HF_ATTENTION, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS, HF_HEADS, HF_PRE_NORMS, HF_PREFIXES, HF_QK_NORMS,
    HF_TRUNK, SHARED_EXPERTS,
};

const DIMS: DimKeys = DimKeys {
    kv_heads: &[DimFrom::Key("num_key_value_heads"), DimFrom::ValueIfAbsent("num_key_value_heads", 4), DimFrom::Heads],
    experts: &[DimFrom::Key("num_experts"), DimFrom::Key("num_local_experts")],
    expert_ffn: &[DimFrom::Key("moe_intermediate_size")],
    ..HF_DIMS
};

const ROUTER: &[OtherRule] = &[optional(Role::Router, "layers.{}.mlp.gate.weight")];

pub(super) static FAMILY: Family = Family {
    id: "qwen3_moe",
    title: "Qwen 3 mixture of experts",
    source: include_str!("qwen3_moe.rs"),
    model_types: &["qwen3_moe"],
    classes: &["Qwen3Moe"],
    gguf_architectures: &["qwen3moe"],
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
            HF_CELLS[4],
            HF_CELLS[5],
            HF_CELLS[6],
        ],
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_QK_NORMS, HF_ATTENTION_BIASES, ROUTER, SHARED_EXPERTS],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            head_norms: Some((Span::Head, Presence::As(Switch::Always(true)))),
            window: WindowFrom {
                switch: Switch::Key("use_sliding_window", false),
                size: &[Key("sliding_window"), Value(4096.0)],
                ..HF_WINDOW
            },
            experts: Some((&[Key("num_experts_per_tok"), Value(8.0)], Switch::Key("norm_topk_prob", false))),
            harmless: &["decoder_sparse_step", "max_window_layers", "mlp_only_layers"],
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
            head_norms: Some((Span::Head, Presence::As(Switch::Always(true)))),
            experts: Some((&[Key("expert_used_count")], Switch::Key("expert_weights_norm", true))),
            ..GGUF_ARITHMETIC
        },
    },
};
