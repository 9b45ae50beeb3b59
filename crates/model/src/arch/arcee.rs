//! Arcee AFM: the Llama layer with an MLP without gate, its nonlinearity the square of a ReLU.
//!
//! ## Switches
//! `num_key_value_heads` (absent: H), `head_dim` (absent or null: D / H), `attention_bias`, `mlp_bias`, `hidden_act`
//! (absent: `relu2`), `tie_word_embeddings`. The column `mlp.gate` is missing.
//!
//! ## Hugging Face names
//! As `llama` without `mlp.gate_proj`.
//!
//! ## GGUF names
//! As `llama` without `ffn_gate`, with q and k in pair order as there.
//!
//! ## Source
//! transformers `models/arcee` (its MLP is that of `models/nemotron`); llama.cpp `conversion/llama.py` (`ArceeModel`, a
//! subclass of `LlamaModel`), `src/models/arcee.cpp`.

use tomo_map::Component::MlpGate;

use crate::architecture::Activation;
use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{ActivationFrom, Arithmetic};
use crate::architecture::usual::{ATTENTION, ATTENTION_BIAS, GGUF_ARITHMETIC, HF_ARITHMETIC, MLP, MLP_BIAS};
use crate::family::{Dialect, Family};
use crate::names::{
    GGUF_BIASES, GGUF_DIMS, GGUF_PAIRED_CELLS, GGUF_PRE_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS,
    HF_HEADS, HF_MLP_BIASES, HF_PRE_NORMS, HF_PREFIXES, HF_TRUNK, UNGATED,
};

pub(super) static FAMILY: Family = Family {
    id: "arcee",
    title: "Arcee AFM",
    source: include_str!("arcee.rs"),
    model_types: &["arcee"],
    classes: &["Arcee"],
    gguf_architectures: &["arcee"],
    experts: false,
    missing: &[(MlpGate, UNGATED)],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: HF_DIMS,
        cells: &[HF_CELLS[0], HF_CELLS[1], HF_CELLS[2], HF_CELLS[3], HF_CELLS[4], HF_CELLS[5]],
        others: &[HF_TRUNK, HF_PRE_NORMS, HF_ATTENTION_BIASES, HF_MLP_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            epsilon: &[Key("rms_norm_eps"), Value(1e-5)],
            activation: ActivationFrom::Key {
                key: "hidden_act",
                absent: Activation::ReluSquared,
                gelu: Activation::Gelu,
            },
            biases: &[(ATTENTION, ATTENTION_BIAS), (MLP, MLP_BIAS)],
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: &[
            GGUF_PAIRED_CELLS[0],
            GGUF_PAIRED_CELLS[1],
            GGUF_PAIRED_CELLS[2],
            GGUF_PAIRED_CELLS[3],
            GGUF_PAIRED_CELLS[4],
            GGUF_PAIRED_CELLS[5],
        ],
        others: &[GGUF_TRUNK, GGUF_PRE_NORMS, GGUF_BIASES],
        root: &[],
        arithmetic: Arithmetic { activation: ActivationFrom::Always(Activation::ReluSquared), ..GGUF_ARITHMETIC },
    },
};
