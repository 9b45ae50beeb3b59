//! No key of a config goes unread: it is understood, or known to change nothing, or an error.

use std::collections::BTreeSet;

use super::rules::{
    ActivationFrom, Arithmetic, LayersFrom, Neutral, NumberFrom, Presence, RopeFrom, Switch, WiringFrom,
};
use super::scaling::OBJECTS;
use super::scaling_gguf::GGUF_KEYS;
use super::settings::{Datum, Settings, key_of};
use crate::config::Keys;
use crate::error::{ModelError, quoted};
use crate::family::{DimFrom, DimKeys};

/// Keys of `config.json` that change nothing in a forward pass of plain text.
const HF_HARMLESS: &[&str] = &[
    // What it is and who wrote it.
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "auto_map",
    "dtype",
    "model_type",
    "name_or_path",
    "tokenizer_class",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    // Numbers of tokens.
    "begin_suppress_tokens",
    "bos_token_id",
    "cls_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "mask_token_id",
    "pad_token_id",
    "sep_token_id",
    "suppress_tokens",
    "unk_token_id",
    // Training only.
    "attention_dropout",
    "attn_pdrop",
    "classifier_dropout",
    "embd_pdrop",
    "embedding_dropout",
    "hidden_dropout",
    "initializer_range",
    "output_router_logits",
    "resid_pdrop",
    "residual_dropout",
    "router_aux_loss_coef",
    // How the computation is cut up, not what it computes.
    "_attn_implementation",
    "_attn_implementation_autoset",
    "attn_implementation",
    "cache_implementation",
    "chunk_size_feed_forward",
    "pretraining_tp",
    "torchscript",
    "use_bfloat16",
    "use_cache",
    // What is handed out.
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "return_dict_in_generate",
    // Other tasks.
    "_num_labels",
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "prefix",
    "problem_type",
    "task_specific_params",
    "tf_legacy_loss",
    // Generation.
    "bad_words_ids",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "remove_invalid_values",
    "repetition_penalty",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// Keys of `config.json` that mean nothing at one value.
const HF_NEUTRAL: &[(&str, Neutral)] = &[
    ("add_cross_attention", Neutral::Bool(false)),
    ("is_decoder", Neutral::Bool(false)),
    ("is_encoder_decoder", Neutral::Bool(false)),
    ("partial_rotary_factor", Neutral::Number(1.0)),
    ("pruned_heads", Neutral::Empty),
    ("rope_interleaved", Neutral::Bool(false)),
    ("tie_encoder_decoder", Neutral::Bool(false)),
    ("use_bidirectional_attention", Neutral::Bool(false)),
    ("use_mrope", Neutral::Bool(false)),
    ("use_sliding_window", Neutral::Bool(false)),
];

/// Keys of GGUF, below the architecture's name, that change nothing.
const GGUF_HARMLESS: &[&str] = &["pooling_type", "rope.scaling.finetuned", "tensor_data_layout", "vocab_size"];

/// Keys of GGUF, below the architecture's name, that mean nothing at one value.
const GGUF_NEUTRAL: &[(&str, Neutral)] = &[
    ("attention.causal", Neutral::Bool(true)),
    ("attention.clamp_kqv", Neutral::Number(0.0)),
    ("attention.max_alibi_bias", Neutral::Number(0.0)),
    ("attention.sliding_window", Neutral::Number(0.0)),
    ("attention.value_length", Neutral::HeadDim),
    ("expert_count", Neutral::Number(0.0)),
    ("expert_gating_func", Neutral::Number(1.0)),
    ("expert_group_count", Neutral::Number(0.0)),
    ("expert_group_used_count", Neutral::Number(0.0)),
    ("expert_shared_count", Neutral::Number(0.0)),
    ("expert_shared_feed_forward_length", Neutral::Number(0.0)),
    ("expert_used_count", Neutral::Number(0.0)),
    ("expert_weights_scale", Neutral::Number(1.0)),
    ("leading_dense_block_count", Neutral::Number(0.0)),
    ("nextn_predict_layers", Neutral::Number(0.0)),
    ("rope.scaling.yarn_ext_factor", Neutral::Number(1.0)),
    ("rope.scaling.yarn_log_multiplier", Neutral::Number(0.0)),
    ("use_parallel_residual", Neutral::Bool(false)),
];

/// Fails at the first key that is not understood.
pub(crate) fn check(
    settings: &Settings<'_>,
    rules: &Arithmetic,
    dims: &DimKeys,
    ignored: &[String],
) -> Result<(), ModelError> {
    let known = known(settings, rules, dims);
    let (harmless, neutral) = match settings.keys {
        Keys::HuggingFace(_) => (HF_HARMLESS, HF_NEUTRAL),
        Keys::Gguf { .. } => (GGUF_HARMLESS, GGUF_NEUTRAL),
    };
    for key in present(settings.keys) {
        let Some(datum) = settings.some(key) else { continue };
        let full = settings.keys.full_key(key);
        let at_one_value = rules.neutral.iter().find(|(name, _)| *name == key);
        let harmless_here = at_one_value.is_none() && harmless.contains(&key);
        if known.contains(key)
            || harmless_here
            || rules.harmless.contains(&key)
            || ignored.iter().any(|i| *i == full || i == key)
        {
            continue;
        }
        let at_one_value = at_one_value.or_else(|| neutral.iter().find(|(name, _)| *name == key));
        if at_one_value.is_some_and(|(_, value)| is(datum, *value, settings)) {
            continue;
        }
        let reason = match at_one_value {
            Some((_, value)) => format!("it is understood when it is {}", shown(*value, settings)),
            None if key == "quantization_config" => "its weights are not what the forward pass would multiply with: \
                                                     convert the checkpoint to bf16 or GGUF first"
                .to_owned(),
            None => "it may change what the model computes".to_owned(),
        };
        return Err(ModelError::UnknownKey { key: quoted(&full), found: datum.shown(), reason });
    }
    Ok(())
}

fn present(keys: Keys<'_>) -> Vec<&str> {
    match keys {
        Keys::HuggingFace(object) => object.keys().map(String::as_str).collect(),
        Keys::Gguf { metadata, architecture } => {
            metadata.keys().filter_map(|key| key.strip_prefix(architecture)?.strip_prefix('.')).collect()
        }
    }
}

/// Every key that the rules name.
fn known(settings: &Settings<'_>, rules: &Arithmetic, dims: &DimKeys) -> BTreeSet<&'static str> {
    let mut known = BTreeSet::new();
    let DimKeys { layers, hidden, heads, kv_heads, head_dim, ffn, vocab, experts, expert_ffn } = dims;
    for place in
        [layers, hidden, heads, kv_heads, head_dim, ffn, vocab, experts, expert_ffn].into_iter().copied().flatten()
    {
        if let DimFrom::Key(key) = place {
            known.insert(*key);
        }
    }
    if matches!(settings.keys, Keys::HuggingFace(_)) {
        known.insert("vocab_size");
    }
    let mut numbers = |places: &[NumberFrom]| known.extend(settings.keys_of(places));
    for places in [
        rules.epsilon,
        rules.scale,
        rules.softcap,
        rules.clip,
        rules.window.size,
        rules.embedding_scale,
        rules.residual_scale,
        rules.logit_scale,
        rules.logit_softcap,
        rules.context,
    ] {
        numbers(places);
    }
    if let Some((top_k, _)) = rules.experts {
        numbers(top_k);
    }
    if let Some(rope) = &rules.rope {
        for places in [rope.theta, rope.local_theta, rope.share, rope.dims, rope.original_context] {
            numbers(places);
        }
    }
    known.extend(rules.scale_by_depth);
    known.extend(switches(rules));
    let layers = rules.window.layers.iter().chain(rules.rope.iter().flat_map(|rope: &RopeFrom| rope.layers));
    known.extend(layers.filter_map(|place| match place {
        LayersFrom::Named(key, ..) | LayersFrom::Flags(key) => Some(*key),
        LayersFrom::AllButEvery(number) | LayersFrom::From(number) => key_of(*number),
        LayersFrom::All | LayersFrom::Unrotated => None,
    }));
    if let ActivationFrom::Key { key, .. } = rules.activation {
        known.insert(key);
    }
    if rules.rope.is_some() {
        known.extend(match settings.keys {
            Keys::HuggingFace(_) => OBJECTS.as_slice(),
            Keys::Gguf { .. } => GGUF_KEYS.as_slice(),
        });
    }
    known
}

fn switches(rules: &Arithmetic) -> impl Iterator<Item = &'static str> {
    let wiring = match rules.wiring {
        WiringFrom::Switch(switch, _) => Some(switch),
        _ => None,
    };
    let presences =
        rules.biases.iter().map(|(_, presence)| *presence).chain(rules.head_norms.map(|(_, presence)| presence));
    let presences = presences.filter_map(|presence| match presence {
        Presence::As(switch) => Some(switch),
        Presence::Stored => None,
    });
    let others = [Some(rules.window.switch), Some(rules.tied), wiring, rules.experts.map(|(_, switch)| switch)];
    presences.chain(others.into_iter().flatten()).filter_map(|switch| match switch {
        Switch::Key(key, _) => Some(key),
        Switch::Always(_) => None,
    })
}

fn is(datum: Datum<'_>, value: Neutral, settings: &Settings<'_>) -> bool {
    match value {
        Neutral::Number(x) => datum.number() == Some(x),
        Neutral::Bool(b) => datum.truth() == Some(b),
        Neutral::Text(names) => datum.text().is_some_and(|text| names.contains(&text)),
        #[expect(clippy::cast_precision_loss, reason = "dims are far below 2^53")]
        Neutral::HeadDim => datum.number() == Some(settings.sizes.head_dim as f64),
        Neutral::Empty => datum.is_empty(),
    }
}

fn shown(value: Neutral, settings: &Settings<'_>) -> String {
    match value {
        Neutral::Number(x) => x.to_string(),
        Neutral::Bool(b) => b.to_string(),
        Neutral::Text(names) => names.join(" or "),
        Neutral::HeadDim => format!("the head dim {}", settings.sizes.head_dim),
        Neutral::Empty => "empty".to_owned(),
    }
}
