//! Where a family's arithmetic is written: the types that the files under `arch/` fill in, once per dialect.

use super::{Activation, NormKind, Span, Wiring};
use tomo_map::Component;

/// The arithmetic of a family, with the place of every value in one dialect.
///
/// Every list of places is tried in order; the first that gives a value decides. An empty list means that the family has
/// no such thing. Keys named here are understood; a key that is named nowhere is an error when the model is to run.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    /// Kind of all norms.
    pub norm: NormKind,
    /// Added to the mean square or the variance.
    pub epsilon: &'static [NumberFrom],
    /// 1 where the file holds w and the reference multiplies by `1 + w`.
    pub norm_offset: f32,
    /// What the MLP reads.
    pub wiring: WiringFrom,
    /// The nonlinearity of the MLP.
    pub activation: ActivationFrom,
    /// Which components have a bias. Components not listed, as in GGUF: where one is stored.
    pub biases: &'static [(&'static [Component], Presence)],
    /// Multiplier of `q . k`.
    pub scale: &'static [NumberFrom],
    /// A switch that divides the multiplier by the layer's number, counted from 1.
    pub scale_by_depth: Option<&'static str>,
    /// Soft cap of the attention scores.
    pub softcap: &'static [NumberFrom],
    /// Norms of queries and keys.
    pub head_norms: Option<(Span, Presence)>,
    /// Bound of q, k and v.
    pub clip: &'static [NumberFrom],
    /// Which layers see how far back.
    pub window: WindowFrom,
    /// Rotary embedding.
    pub rope: Option<RopeFrom>,
    /// Multiplier of the embedding.
    pub embedding_scale: &'static [NumberFrom],
    /// Multiplier of what attention and MLP add.
    pub residual_scale: &'static [NumberFrom],
    /// Multiplier of the logits.
    pub logit_scale: &'static [NumberFrom],
    /// Soft cap of the logits.
    pub logit_softcap: &'static [NumberFrom],
    /// Whether the head is the embedding when no head is stored.
    pub tied: Switch,
    /// Mixtures: how many experts a token uses, and whether their weights are divided by their sum.
    pub experts: Option<(&'static [NumberFrom], Switch)>,
    /// Positions the model was made for.
    pub context: &'static [NumberFrom],
    /// Keys that are understood as long as they have one value.
    pub neutral: &'static [(&'static str, Neutral)],
    /// Keys of this family that change nothing in a forward pass of plain text.
    pub harmless: &'static [&'static str],
}

/// A place to read a number from.
#[derive(Clone, Copy, Debug)]
pub enum NumberFrom {
    /// A config key; in GGUF below the architecture's name.
    Key(&'static str),
    /// One over a key.
    Reciprocal(&'static str),
    /// One over the square root of a key.
    InverseSqrt(&'static str),
    /// A key that only configs of this `model_type` mean.
    KeyOfType(&'static str, &'static str),
    /// What the reference implementation assumes when no key says otherwise.
    Value(f64),
    /// The same, for one `model_type` only.
    ValueOfType(&'static str, f64),
    /// This, where the key is a switch that is off.
    ValueUnless(&'static str, f64),
    /// The square root of D.
    SqrtHidden,
    /// One over the square root of C.
    InverseSqrtHeadDim,
    /// One over the square root of D / H, in the model that has so many layers: how llama.cpp tells sizes apart.
    InverseSqrtHiddenPerHead(u32),
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug)]
pub enum Switch {
    /// Never a question.
    Always(bool),
    /// A config key, and what its absence means.
    Key(&'static str, bool),
}

/// Whether tensors are there.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// The checkpoint decides.
    Stored,
    /// The config decides; a checkpoint that contradicts it is an error.
    As(Switch),
}

/// What the MLP reads.
#[derive(Clone, Copy, Debug)]
pub enum WiringFrom {
    /// The same in every member.
    Always(Wiring),
    /// Sequential, or this where the switch is on.
    Switch(Switch, Wiring),
    /// Sequential where the MLP has a norm, else the norm of attention is shared.
    Norms,
}

/// The nonlinearity.
#[derive(Clone, Copy, Debug)]
pub enum ActivationFrom {
    /// The same in every member.
    Always(Activation),
    /// Its name is under this key.
    Key {
        /// The key.
        key: &'static str,
        /// What its absence means.
        absent: Activation,
        /// What the name `gelu` means.
        gelu: Activation,
    },
}

/// Sliding windows.
#[derive(Clone, Copy, Debug)]
pub struct WindowFrom {
    /// A switch that must be on.
    pub switch: Switch,
    /// How many tokens a token sees, itself included.
    pub size: &'static [NumberFrom],
    /// The layers that are windowed.
    pub layers: &'static [LayersFrom],
}

/// Which layers have a property.
#[derive(Clone, Copy, Debug)]
pub enum LayersFrom {
    /// All of them.
    All,
    /// A list with a name per layer: those named like this. Any other name must be the second.
    Named(&'static str, &'static str, &'static str),
    /// A list with true or false, or 1 or 0, per layer.
    Flags(&'static str),
    /// All but every n-th, where n is this.
    AllButEvery(NumberFrom),
    /// This one and all above it.
    From(NumberFrom),
    /// Those that do not rotate.
    Unrotated,
}

/// Rotary embeddings.
#[derive(Clone, Copy, Debug)]
pub struct RopeFrom {
    /// The base, where the object of rope settings does not have it.
    pub theta: &'static [NumberFrom],
    /// The base in windowed layers, where these rotate differently: without scaling.
    pub local_theta: &'static [NumberFrom],
    /// The share of each head that rotates, where the object of rope settings does not have it; empty: all of it.
    pub share: &'static [NumberFrom],
    /// How many dims of each head rotate, where the file says so in dims.
    pub dims: &'static [NumberFrom],
    /// The layers that rotate.
    pub layers: &'static [LayersFrom],
    /// Positions before scaling; goes before what the object of rope settings says.
    pub original_context: &'static [NumberFrom],
    /// Whether the scaling called `yarn` is longrope (phi3, whose early configs say so).
    pub yarn_is_longrope: bool,
}

/// The one value at which a key means nothing.
#[derive(Clone, Copy, Debug)]
pub enum Neutral {
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// One of these names.
    Text(&'static [&'static str]),
    /// C.
    HeadDim,
    /// Nothing in it: `[]`, `{}`.
    Empty,
}
