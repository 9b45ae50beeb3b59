//! OLMo 2: norms after attention and after the MLP, none before; norms over the whole of q and of k.
//!
//! ## Switches
//! `num_key_value_heads`, `attention_bias`, `tie_word_embeddings`.
//!
//! ## Hugging Face names
//! As `llama`, with `post_attention_layernorm`, `post_feedforward_layernorm`, `self_attn.{q,k}_norm` (lengths H*C and
//! K*C).
//!
//! ## GGUF names
//! As `llama`, with `post_attention_norm`, `post_ffw_norm`, `attn_{q,k}_norm`; rows keep their order (OLMo 1's do not).
//!
//! ## Source
//! transformers `models/olmo2`; llama.cpp `conversion/olmo.py`.

use crate::architecture::Span;
use crate::architecture::rules::NumberFrom::{Key, Value};
use crate::architecture::rules::{Arithmetic, Presence, Switch};
use crate::architecture::usual::{GGUF_ARITHMETIC, HF_ARITHMETIC};
use crate::family::{Dialect, Family, NormPlace, OtherRule, norm};
use crate::names::{
    GGUF_CELLS, GGUF_DIMS, GGUF_POST_NORMS, GGUF_QK_NORMS, GGUF_TRUNK, HF_ATTENTION_BIASES, HF_CELLS, HF_DIMS,
    HF_HEADS, HF_PREFIXES, HF_QK_NORMS, HF_TRUNK,
};

const NORMS: &[OtherRule] = &[
    norm(NormPlace::AttentionOut, "layers.{}.post_attention_layernorm.weight"),
    norm(NormPlace::MlpOut, "layers.{}.post_feedforward_layernorm.weight"),
];

pub(super) static FAMILY: Family = Family {
    id: "olmo2",
    title: "OLMo 2",
    source: include_str!("olmo2.rs"),
    model_types: &["olmo2"],
    classes: &["Olmo2"],
    gguf_architectures: &["olmo2"],
    experts: false,
    missing: &[],
    hugging_face: Dialect {
        prefixes: HF_PREFIXES,
        dims: HF_DIMS,
        cells: HF_CELLS,
        others: &[HF_TRUNK, NORMS, HF_QK_NORMS, HF_ATTENTION_BIASES],
        root: HF_HEADS,
        arithmetic: Arithmetic {
            epsilon: &[Key("rms_norm_eps"), Value(1e-5)],
            head_norms: Some((Span::All, Presence::As(Switch::Always(true)))),
            ..HF_ARITHMETIC
        },
    },
    gguf: Dialect {
        prefixes: &[""],
        dims: GGUF_DIMS,
        cells: GGUF_CELLS,
        others: &[GGUF_TRUNK, GGUF_POST_NORMS, GGUF_QK_NORMS],
        root: &[],
        arithmetic: Arithmetic { head_norms: Some((Span::All, Presence::As(Switch::Always(true)))), ..GGUF_ARITHMETIC },
    },
};
