//! What a family is, as data: names of tensors in both dialects, where dims are written, and how a block computes.

use tomo_map::Component;

use crate::architecture::rules::Arithmetic;

/// One family of models: everything the rest of the crate knows about it.
#[derive(Debug)]
pub struct Family {
    /// Identifier, equal to the file name under `arch/` and to Hugging Face's `model_type` where there is one.
    pub id: &'static str,
    /// For people: "Llama, Mistral, SmolLM2".
    pub title: &'static str,
    /// The family's own source file; its `//!` header is the manual.
    pub source: &'static str,
    /// Values of `model_type` in `config.json` that mean this family.
    pub model_types: &'static [&'static str],
    /// Stems of class names in `architectures`, for a config without `model_type`: `Llama` of `LlamaForCausalLM`.
    pub classes: &'static [&'static str],
    /// Values of `general.architecture` in GGUF.
    pub gguf_architectures: &'static [&'static str],
    /// Whether its MLP is a mixture of experts. GGUF writes dense and mixed models under one architecture.
    pub experts: bool,
    /// Components it does not have, each with the reason.
    pub missing: &'static [(Component, &'static str)],
    /// Names and dims as Hugging Face writes them.
    pub hugging_face: Dialect,
    /// Names and dims as GGUF writes them.
    pub gguf: Dialect,
}

impl Family {
    /// Why the family lacks `component`, if it does.
    pub fn missing_reason(&self, component: Component) -> Option<&'static str> {
        self.missing.iter().find(|(c, _)| *c == component).map(|(_, reason)| *reason)
    }
}

/// How one container format spells a family.
#[derive(Debug)]
pub struct Dialect {
    /// What may stand before every name of [`Dialect::cells`] and [`Dialect::others`]; the first that fits is taken.
    pub prefixes: &'static [&'static str],
    /// Where the dims are written.
    pub dims: DimKeys,
    /// Where each component is; of several rules for one component the first whose tensor exists is taken, per layer.
    pub cells: &'static [CellRule],
    /// Tensors that are no cells (embeddings, norms, biases, routers), below the prefix.
    pub others: &'static [&'static [OtherRule]],
    /// Tensors that are no cells and never carry the prefix (the output head).
    pub root: &'static [OtherRule],
    /// How the model computes, and where each value of that is written.
    pub arithmetic: Arithmetic,
}

/// Which tensor, or which part of one, holds a component.
#[derive(Clone, Copy, Debug)]
pub struct CellRule {
    /// The component.
    pub component: Component,
    /// Tensor-name pattern: `{}` the layer, `{e}` the expert.
    pub tensor: &'static str,
    /// Which of its rows.
    pub part: Part,
    /// Stored `[in, out]` (gpt2's Conv1D).
    pub transposed: bool,
    /// Stored as a stack over experts, `[E, out, in]`.
    pub stacked: bool,
    /// Rows of each head are reordered so that the two halves of a rotary pair are neighbours, as llama.cpp's
    /// converter does to q and k; loading puts them back.
    pub rope_pairs: bool,
}

/// Which rows of a tensor belong to a component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of them.
    Whole,
    /// q, k and v one after the other: `[H*C + 2*K*C, D]`.
    QueryKeyValue,
    /// q, k and v of head 0, then of head 1, …: `[H, 3, C, D]`.
    QueryKeyValuePerHead,
    /// gate, then up: `[2*F, D]`.
    GateUp,
}

/// A rule for a plain matrix `[out, in]`; the methods of [`CellRule`] say what is different.
pub(crate) const fn cell(component: Component, tensor: &'static str) -> CellRule {
    CellRule { component, tensor, part: Part::Whole, transposed: false, stacked: false, rope_pairs: false }
}

impl CellRule {
    /// The component is one part of a fused tensor.
    #[must_use]
    pub const fn part(mut self, part: Part) -> Self {
        self.part = part;
        self
    }

    /// Stored `[in, out]`.
    #[must_use]
    pub const fn transposed(mut self) -> Self {
        self.transposed = true;
        self
    }

    /// Stored `[E, out, in]`.
    #[must_use]
    pub const fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// Rows of each head are in pair order.
    #[must_use]
    pub const fn rope_pairs(mut self) -> Self {
        self.rope_pairs = true;
        self
    }

    /// Whether the rule makes one cell per expert.
    pub fn per_expert(&self) -> bool {
        self.stacked || self.tensor.contains("{e}")
    }
}

/// What a tensor that is no cell is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Token embedding.
    Embedding,
    /// Learned positions.
    Positions,
    /// Output head.
    Head,
    /// Head of another task: scores, classes.
    Classifier,
    /// Weight or bias of a norm.
    Norm,
    /// Bias of a projection.
    Bias,
    /// Router of a mixture: chooses experts, is not one.
    Router,
    /// Constants that were saved with the weights (masks, rotary frequencies).
    Buffer,
    /// Part of another tower of a multimodal model.
    Tower,
    /// A weight with no column in the map: the checkpoint is refused, by name.
    Refused,
}

impl Role {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Positions => "positions",
            Self::Head => "head",
            Self::Classifier => "classifier",
            Self::Norm => "norm",
            Self::Bias => "bias",
            Self::Router => "router",
            Self::Buffer => "buffer",
            Self::Tower => "tower",
            Self::Refused => "refused",
        }
    }
}

/// A tensor that is no cell.
#[derive(Clone, Copy, Debug)]
pub struct OtherRule {
    /// Tensor-name pattern: `{}` the layer, `{*}` any number.
    pub tensor: &'static str,
    /// What it is for.
    pub role: Role,
    /// Whether every member of the family has it: without a config, families are told apart by these.
    pub required: bool,
    /// Which norm it is, for [`Role::Norm`].
    pub norm: Option<NormPlace>,
}

/// Which norm of a model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NormPlace {
    /// Before attention.
    AttentionIn,
    /// After attention, before it is added.
    AttentionOut,
    /// Before the MLP.
    MlpIn,
    /// After the MLP, before it is added.
    MlpOut,
    /// Of queries.
    Query,
    /// Of keys.
    Key,
    /// Before the head.
    Final,
}

impl NormPlace {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttentionIn => "the norm before attention",
            Self::AttentionOut => "the norm after attention",
            Self::MlpIn => "the norm before the MLP",
            Self::MlpOut => "the norm after the MLP",
            Self::Query => "the norm of queries",
            Self::Key => "the norm of keys",
            Self::Final => "the last norm",
        }
    }
}

/// A tensor that every member of the family has.
pub(crate) const fn other(role: Role, tensor: &'static str) -> OtherRule {
    OtherRule { tensor, role, required: true, norm: None }
}

/// A tensor that some members have.
pub(crate) const fn optional(role: Role, tensor: &'static str) -> OtherRule {
    OtherRule { tensor, role, required: false, norm: None }
}

/// Weight or bias of a norm that every member of the family has.
pub(crate) const fn norm(place: NormPlace, tensor: &'static str) -> OtherRule {
    OtherRule { tensor, role: Role::Norm, required: true, norm: Some(place) }
}

/// Weight or bias of a norm that some members have.
pub(crate) const fn optional_norm(place: NormPlace, tensor: &'static str) -> OtherRule {
    OtherRule { tensor, role: Role::Norm, required: false, norm: Some(place) }
}

/// A place to read a dim from; alternatives are tried in order.
#[derive(Clone, Copy, Debug)]
pub enum DimFrom {
    /// A config key; in GGUF below the architecture's name.
    Key(&'static str),
    /// What the family's reference implementation assumes when the key is absent.
    Value(u64),
    /// The same, but not when this key is null, which then means something else.
    ValueIfAbsent(&'static str, u64),
    /// So many times D.
    Hidden(u64),
    /// H.
    Heads,
    /// D / H.
    HiddenPerHead,
}

/// Where each dim is written. An empty list: the family has no such dim.
#[derive(Clone, Copy, Debug)]
pub struct DimKeys {
    /// L.
    pub layers: &'static [DimFrom],
    /// D.
    pub hidden: &'static [DimFrom],
    /// H.
    pub heads: &'static [DimFrom],
    /// K.
    pub kv_heads: &'static [DimFrom],
    /// C.
    pub head_dim: &'static [DimFrom],
    /// F of dense layers.
    pub ffn: &'static [DimFrom],
    /// V.
    pub vocab: &'static [DimFrom],
    /// Number of experts.
    pub experts: &'static [DimFrom],
    /// F of one expert.
    pub expert_ffn: &'static [DimFrom],
}
