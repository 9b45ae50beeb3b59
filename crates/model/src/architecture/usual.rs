//! The arithmetic most families have, to be changed by those that differ: the Llama block.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};

use super::rules::NumberFrom::{InverseSqrtHeadDim, Key, Value};
use super::rules::{ActivationFrom, Arithmetic, LayersFrom, Presence, RopeFrom, Switch, WindowFrom, WiringFrom};
use super::{Activation, NormKind, Wiring};
use tomo_map::Component;

/// q, k, v, o.
pub(crate) const ATTENTION: &[Component] = &[AttnQ, AttnK, AttnV, AttnO];
/// q, k, v.
pub(crate) const QKV: &[Component] = &[AttnQ, AttnK, AttnV];
/// o.
pub(crate) const O: &[Component] = &[AttnO];
/// up, down, gate.
pub(crate) const MLP: &[Component] = &[MlpUp, MlpDown, MlpGate];
/// Every component.
pub(crate) const ALL: &[Component] = &Component::ALL;

/// Never biased.
pub(crate) const NO_BIAS: Presence = Presence::As(Switch::Always(false));
/// Always biased.
pub(crate) const BIASED: Presence = Presence::As(Switch::Always(true));
/// Biases of attention as most configs switch them.
pub(crate) const ATTENTION_BIAS: Presence = Presence::As(Switch::Key("attention_bias", false));
/// Biases of the MLP as most configs switch them.
pub(crate) const MLP_BIAS: Presence = Presence::As(Switch::Key("mlp_bias", false));

/// No layer is windowed.
pub(crate) const NO_WINDOW: WindowFrom =
    WindowFrom { switch: Switch::Always(true), size: &[], layers: &[LayersFrom::All] };

/// Those layers that a list of names calls windowed.
pub(crate) const WINDOWED_BY_NAME: LayersFrom = LayersFrom::Named("layer_types", "sliding_attention", "full_attention");

/// Every layer is windowed where the config gives a window.
pub(crate) const HF_WINDOW: WindowFrom =
    WindowFrom { switch: Switch::Always(true), size: &[Key("sliding_window")], layers: &[LayersFrom::All] };

/// One rope for all layers, over the whole head.
pub(crate) const HF_ROPE: RopeFrom = RopeFrom {
    theta: &[Key("rope_theta"), Value(10_000.0)],
    local_theta: &[],
    share: &[],
    dims: &[],
    layers: &[LayersFrom::All],
    original_context: &[Key("original_max_position_embeddings")],
    yarn_is_longrope: false,
};

/// The activation under the usual key.
pub(crate) const HF_ACTIVATION: ActivationFrom =
    ActivationFrom::Key { key: "hidden_act", absent: Activation::Silu, gelu: Activation::Gelu };

/// The Llama block in `config.json`.
pub(crate) const HF_ARITHMETIC: Arithmetic = Arithmetic {
    norm: NormKind::Rms,
    epsilon: &[Key("rms_norm_eps"), Value(1e-6)],
    norm_offset: 0.0,
    wiring: WiringFrom::Always(Wiring::Sequential),
    activation: HF_ACTIVATION,
    biases: &[(ATTENTION, ATTENTION_BIAS), (MLP, NO_BIAS)],
    scale: &[InverseSqrtHeadDim],
    scale_by_depth: None,
    softcap: &[],
    head_norms: None,
    clip: &[],
    window: NO_WINDOW,
    rope: Some(HF_ROPE),
    embedding_scale: &[],
    residual_scale: &[],
    logit_scale: &[],
    logit_softcap: &[],
    tied: Switch::Key("tie_word_embeddings", false),
    experts: None,
    context: &[Key("max_position_embeddings")],
    neutral: &[],
    harmless: &[],
};

/// One rope for all layers.
pub(crate) const GGUF_ROPE: RopeFrom = RopeFrom {
    theta: &[Key("rope.freq_base"), Value(10_000.0)],
    local_theta: &[],
    share: &[],
    dims: &[Key("rope.dimension_count")],
    layers: &[LayersFrom::All],
    original_context: &[Key("rope.scaling.original_context_length")],
    yarn_is_longrope: false,
};

/// Windowed layers in GGUF: one flag per layer, or all but every n-th.
pub(crate) const GGUF_PATTERN: &[LayersFrom] = &[
    LayersFrom::Flags("attention.sliding_window_pattern"),
    LayersFrom::AllButEvery(Key("attention.sliding_window_pattern")),
];

/// The Llama block in GGUF. Biases are where they are stored, the head too.
pub(crate) const GGUF_ARITHMETIC: Arithmetic = Arithmetic {
    epsilon: &[Key("attention.layer_norm_rms_epsilon")],
    activation: ActivationFrom::Always(Activation::Silu),
    biases: &[],
    rope: Some(GGUF_ROPE),
    tied: Switch::Always(true),
    context: &[Key("context_length")],
    ..HF_ARITHMETIC
};

/// Where GGUF writes the epsilon of layer norms.
pub(crate) const GGUF_LAYER_NORM_EPSILON: &[super::rules::NumberFrom] = &[Key("attention.layer_norm_epsilon")];
