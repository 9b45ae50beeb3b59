//! Names that many families share. A family's file refers to these; what is its own, it spells itself.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};

use crate::family::DimFrom::{Heads, HiddenPerHead, Key};
use crate::family::NormPlace::{AttentionIn, AttentionOut, Final, Key as KeyNorm, MlpIn, MlpOut, Query};
use crate::family::{CellRule, DimKeys, OtherRule, Role, cell, norm, optional, optional_norm, other};

/// With a head, a bare base model, inside a multimodal model (new and old layout), and its bare language model.
pub(crate) const HF_PREFIXES: &[&str] =
    &["model.", "", "model.language_model.", "language_model.model.", "language_model.", "model.text_model."];

/// Keys of `config.json` that most families use.
pub(crate) const HF_DIMS: DimKeys = DimKeys {
    layers: &[Key("num_hidden_layers")],
    hidden: &[Key("hidden_size")],
    heads: &[Key("num_attention_heads")],
    kv_heads: &[Key("num_key_value_heads"), Heads],
    head_dim: &[Key("head_dim"), HiddenPerHead],
    ffn: &[Key("intermediate_size")],
    vocab: &[Key("vocab_size")],
    experts: &[],
    expert_ffn: &[],
};

/// Keys of GGUF metadata, below the architecture's name. V is the embedding's: converters cut padding rows.
pub(crate) const GGUF_DIMS: DimKeys = DimKeys {
    layers: &[Key("block_count")],
    hidden: &[Key("embedding_length")],
    heads: &[Key("attention.head_count")],
    kv_heads: &[Key("attention.head_count_kv"), Heads],
    head_dim: &[Key("attention.key_length"), HiddenPerHead],
    ffn: &[Key("feed_forward_length")],
    vocab: &[],
    experts: &[],
    expert_ffn: &[],
};

/// [`GGUF_DIMS`] of a mixture; F of an expert is under the dense key in files of families without dense layers.
pub(crate) const GGUF_EXPERT_DIMS: DimKeys = DimKeys {
    ffn: &[],
    experts: &[Key("expert_count")],
    expert_ffn: &[Key("expert_feed_forward_length"), Key("feed_forward_length")],
    ..GGUF_DIMS
};

/// Separate q, k, v, o.
pub(crate) const HF_ATTENTION: [CellRule; 4] = [
    cell(AttnQ, "layers.{}.self_attn.q_proj.weight"),
    cell(AttnK, "layers.{}.self_attn.k_proj.weight"),
    cell(AttnV, "layers.{}.self_attn.v_proj.weight"),
    cell(AttnO, "layers.{}.self_attn.o_proj.weight"),
];

/// The seven separate matrices of a Llama-shaped layer.
pub(crate) const HF_CELLS: &[CellRule] = &[
    HF_ATTENTION[0],
    HF_ATTENTION[1],
    HF_ATTENTION[2],
    HF_ATTENTION[3],
    cell(MlpUp, "layers.{}.mlp.up_proj.weight"),
    cell(MlpDown, "layers.{}.mlp.down_proj.weight"),
    cell(MlpGate, "layers.{}.mlp.gate_proj.weight"),
];

/// The seven separate matrices in GGUF.
pub(crate) const GGUF_CELLS: &[CellRule] = &[
    cell(AttnQ, "blk.{}.attn_q.weight"),
    cell(AttnK, "blk.{}.attn_k.weight"),
    cell(AttnV, "blk.{}.attn_v.weight"),
    cell(AttnO, "blk.{}.attn_output.weight"),
    cell(MlpUp, "blk.{}.ffn_up.weight"),
    cell(MlpDown, "blk.{}.ffn_down.weight"),
    cell(MlpGate, "blk.{}.ffn_gate.weight"),
];

/// [`GGUF_CELLS`] of an architecture whose q and k llama.cpp's converter reorders for its adjacent-pair rotary kernel.
pub(crate) const GGUF_PAIRED_CELLS: &[CellRule] = &[
    GGUF_CELLS[0].rope_pairs(),
    GGUF_CELLS[1].rope_pairs(),
    GGUF_CELLS[2],
    GGUF_CELLS[3],
    GGUF_CELLS[4],
    GGUF_CELLS[5],
    GGUF_CELLS[6],
];

/// Embedding and last norm.
pub(crate) const HF_TRUNK: &[OtherRule] = &[other(Role::Embedding, "embed_tokens.weight"), norm(Final, "norm.weight")];

/// Pre-norm: one norm before attention, one before the MLP.
pub(crate) const HF_PRE_NORMS: &[OtherRule] =
    &[norm(AttentionIn, "layers.{}.input_layernorm.weight"), norm(MlpIn, "layers.{}.post_attention_layernorm.weight")];

/// The four norms of a layer that normalises before and after both halves (gemma2, gemma3).
pub(crate) const HF_SANDWICH_NORMS: &[OtherRule] = &[
    norm(AttentionIn, "layers.{}.input_layernorm.weight"),
    norm(AttentionOut, "layers.{}.post_attention_layernorm.weight"),
    norm(MlpIn, "layers.{}.pre_feedforward_layernorm.weight"),
    norm(MlpOut, "layers.{}.post_feedforward_layernorm.weight"),
];

/// Norms of queries and keys.
pub(crate) const HF_QK_NORMS: &[OtherRule] =
    &[norm(Query, "layers.{}.self_attn.q_norm.weight"), norm(KeyNorm, "layers.{}.self_attn.k_norm.weight")];

/// Biases of attention that some members have, and the rotary constants old checkpoints carry.
pub(crate) const HF_ATTENTION_BIASES: &[OtherRule] = &[
    optional(Role::Bias, "layers.{}.self_attn.q_proj.bias"),
    optional(Role::Bias, "layers.{}.self_attn.k_proj.bias"),
    optional(Role::Bias, "layers.{}.self_attn.v_proj.bias"),
    optional(Role::Bias, "layers.{}.self_attn.o_proj.bias"),
    optional(Role::Buffer, "layers.{}.self_attn.rotary_emb.inv_freq"),
];

/// Biases of a gated MLP that some members have.
pub(crate) const HF_MLP_BIASES: &[OtherRule] = &[
    optional(Role::Bias, "layers.{}.mlp.up_proj.bias"),
    optional(Role::Bias, "layers.{}.mlp.down_proj.bias"),
    optional(Role::Bias, "layers.{}.mlp.gate_proj.bias"),
];

/// Heads: of a causal model, of one inside a multimodal model, of a classifier or reward model.
pub(crate) const HF_HEADS: &[OtherRule] = &[
    optional(Role::Head, "lm_head.weight"),
    optional(Role::Head, "language_model.lm_head.weight"),
    optional(Role::Classifier, "score.weight"),
];

/// Other towers of a multimodal model, by how their names begin.
pub(crate) const TOWERS: &[&str] = &[
    "vision_tower.",
    "model.vision_tower.",
    "vision_model.",
    "model.vision_model.",
    "visual.",
    "model.visual.",
    "audio_tower.",
    "model.audio_tower.",
    "multi_modal_projector.",
    "model.multi_modal_projector.",
    "model.connector.",
];

/// Embedding, last norm, head, and the rotary factors converters add.
pub(crate) const GGUF_TRUNK: &[OtherRule] = &[
    other(Role::Embedding, "token_embd.weight"),
    norm(Final, "output_norm.weight"),
    optional_norm(Final, "output_norm.bias"),
    optional(Role::Head, "output.weight"),
    optional(Role::Buffer, "rope_freqs.weight"),
    optional(Role::Buffer, "rope_factors_long.weight"),
    optional(Role::Buffer, "rope_factors_short.weight"),
    optional(Role::Buffer, "blk.{}.attn_rot_embd.weight"),
];

/// Pre-norm in GGUF.
pub(crate) const GGUF_PRE_NORMS: &[OtherRule] =
    &[norm(AttentionIn, "blk.{}.attn_norm.weight"), norm(MlpIn, "blk.{}.ffn_norm.weight")];

/// Biases of pre-norms that are layer norms.
pub(crate) const GGUF_PRE_NORM_BIASES: &[OtherRule] =
    &[optional_norm(AttentionIn, "blk.{}.attn_norm.bias"), optional_norm(MlpIn, "blk.{}.ffn_norm.bias")];

/// Norms of queries and keys in GGUF.
pub(crate) const GGUF_QK_NORMS: &[OtherRule] =
    &[norm(Query, "blk.{}.attn_q_norm.weight"), norm(KeyNorm, "blk.{}.attn_k_norm.weight")];

/// Norms after attention and after the MLP in GGUF.
pub(crate) const GGUF_POST_NORMS: &[OtherRule] =
    &[norm(AttentionOut, "blk.{}.post_attention_norm.weight"), norm(MlpOut, "blk.{}.post_ffw_norm.weight")];

/// Biases of projections in GGUF.
pub(crate) const GGUF_BIASES: &[OtherRule] = &[
    optional(Role::Bias, "blk.{}.attn_q.bias"),
    optional(Role::Bias, "blk.{}.attn_k.bias"),
    optional(Role::Bias, "blk.{}.attn_v.bias"),
    optional(Role::Bias, "blk.{}.attn_qkv.bias"),
    optional(Role::Bias, "blk.{}.attn_output.bias"),
    optional(Role::Bias, "blk.{}.ffn_up.bias"),
    optional(Role::Bias, "blk.{}.ffn_down.bias"),
    optional(Role::Bias, "blk.{}.ffn_gate.bias"),
];

/// Experts in GGUF: stacks `[E, out, in]` since 2024-04, one tensor per expert before.
pub(crate) const GGUF_EXPERT_CELLS: [CellRule; 6] = [
    cell(MlpUp, "blk.{}.ffn_up_exps.weight").stacked(),
    cell(MlpUp, "blk.{}.ffn_up.{e}.weight"),
    cell(MlpDown, "blk.{}.ffn_down_exps.weight").stacked(),
    cell(MlpDown, "blk.{}.ffn_down.{e}.weight"),
    cell(MlpGate, "blk.{}.ffn_gate_exps.weight").stacked(),
    cell(MlpGate, "blk.{}.ffn_gate.{e}.weight"),
];

/// Router in GGUF.
pub(crate) const GGUF_ROUTER: &[OtherRule] = &[optional(Role::Router, "blk.{}.ffn_gate_inp.weight")];

/// Shared experts run beside the chosen ones; the map has no column for them.
pub(crate) const SHARED_EXPERTS: &[OtherRule] = &[
    optional(Role::Refused, "layers.{}.mlp.shared_expert.up_proj.weight"),
    optional(Role::Refused, "layers.{}.mlp.shared_experts.up_proj.weight"),
    optional(Role::Refused, "blk.{}.ffn_up_shexp.weight"),
];

/// The reason a family without a gate gives.
pub(crate) const UNGATED: &str = "the MLP is ungated: down(act(up(x)))";
