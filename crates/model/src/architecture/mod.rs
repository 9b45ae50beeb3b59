//! The arithmetic of a model, resolved from its config: everything the forward pass needs beside the weights of its cells.
//!
//! One layout for all families. A family's file says where each value is written; what comes out here has no keys and no
//! dialects left, only numbers and names of tensors.

mod biases;
mod keys;
mod layers;
mod object;
mod resolve;
mod rope;
pub mod rules;
mod scaling;
mod scaling_gguf;
mod settings;
mod tensors;
pub(crate) mod usual;

pub(crate) use resolve::resolve;
pub use rope::{LongRope, Rope};

/// How a model computes, with every switch of its config settled.
#[derive(Clone, PartialEq, Debug)]
pub struct Architecture {
    /// D.
    pub hidden: usize,
    /// V: rows of the embedding, and of the head.
    pub vocab: usize,
    /// From token ids to the residual stream.
    pub embedding: Embedding,
    /// Rotary embeddings in use; layers refer to them by index.
    pub ropes: Vec<Rope>,
    /// L blocks.
    pub layers: Vec<Layer>,
    /// Before the head; absent in none of the families.
    pub final_norm: Norm,
    /// From the residual stream to logits.
    pub head: Head,
    /// Positions that the model was made for, where its config says so. Longer sequences are an error only where
    /// positions are learned.
    pub context: Option<usize>,
}

/// From token ids to the residual stream: `h_t = scale * E[token_t] + P[t]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Embedding {
    /// `[V, D]`.
    pub tensor: String,
    /// Multiplier of the embedding (gemma: sqrt(D), rounded as the reference rounds it).
    pub scale: f32,
    /// Learned positions, `[P, D]`.
    pub positions: Option<String>,
}

/// From the residual stream to logits: `softcap * tanh(scale * (W h + b) / softcap)`.
#[derive(Clone, PartialEq, Debug)]
pub struct Head {
    /// `[V, D]`; the embedding's where tied.
    pub tensor: String,
    /// `[V]`.
    pub bias: Option<String>,
    /// Multiplier of the logits.
    pub scale: f32,
    /// Soft cap of the logits.
    pub softcap: Option<f32>,
}

/// One block.
#[derive(Clone, PartialEq, Debug)]
pub struct Layer {
    /// What the MLP reads.
    pub wiring: Wiring,
    /// Multiplier of what attention and MLP add to the residual (granite).
    pub residual_scale: f32,
    /// Before attention.
    pub attention_in: Option<Norm>,
    /// Attention itself.
    pub attention: Attention,
    /// After attention, before it is added.
    pub attention_out: Option<Norm>,
    /// Before the MLP.
    pub mlp_in: Option<Norm>,
    /// The MLP itself.
    pub mlp: Mlp,
    /// After the MLP, before it is added.
    pub mlp_out: Option<Norm>,
}

/// What the MLP of a block reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wiring {
    /// The residual after attention was added.
    Sequential,
    /// The residual that attention reads, through its own norm (gpt_neox).
    Parallel,
    /// What attention reads: one norm for both (stablelm).
    ParallelSharedNorm,
}

/// A norm over the last dimension.
#[derive(Clone, PartialEq, Debug)]
pub struct Norm {
    /// Which one.
    pub kind: NormKind,
    /// Added to the mean square or the variance.
    pub epsilon: f32,
    /// Added to the stored weight: 1 where the reference multiplies by `1 + w` and the file holds w, else 0.
    pub weight_offset: f32,
    /// The tensors that hold the weight, one after the other: one, or one per head (stablelm).
    pub weight: Vec<String>,
    /// The tensors that hold the bias; empty where there is none.
    pub bias: Vec<String>,
}

/// Kinds of norms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + eps)`.
    Rms,
    /// `(x - mean(x)) / sqrt(var(x) + eps)`, biased variance.
    Layer,
}

/// Causal attention with grouped heads.
#[derive(Clone, PartialEq, Debug)]
pub struct Attention {
    /// H.
    pub heads: usize,
    /// K; divides H.
    pub kv_heads: usize,
    /// C.
    pub head_dim: usize,
    /// Multiplier of `q . k`.
    pub scale: f32,
    /// Soft cap of the scores: `cap * tanh(scores / cap)`, before the mask.
    pub softcap: Option<f32>,
    /// A token sees itself and the `window - 1` tokens before it.
    pub window: Option<usize>,
    /// Index into [`Architecture::ropes`]; `None` where the layer does not rotate.
    pub rope: Option<usize>,
    /// Norm of queries, before rotation.
    pub query_norm: Option<HeadNorm>,
    /// Norm of keys, before rotation.
    pub key_norm: Option<HeadNorm>,
    /// q, k and v are clamped to `-clip..=clip`, before any head norm per family order (olmoe clamps after its norms).
    pub clip: Option<f32>,
}

/// A norm of queries or keys.
#[derive(Clone, PartialEq, Debug)]
pub struct HeadNorm {
    /// The norm; its weight has C entries, or `heads * C`.
    pub norm: Norm,
    /// What it runs over.
    pub span: Span,
}

/// What a norm of queries or keys runs over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Span {
    /// Each head by itself. A weight of `heads * C` entries gives each head its own.
    Head,
    /// All heads together.
    All,
}

/// `down(act(gate(x)) * up(x))`, or `down(act(up(x)))` without a gate; dense or a mixture.
#[derive(Clone, PartialEq, Debug)]
pub struct Mlp {
    /// The nonlinearity.
    pub activation: Activation,
    /// Whether there is a gate.
    pub gated: bool,
    /// A mixture of experts.
    pub experts: Option<Experts>,
}

/// Nonlinearities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Phi(x)`, with the error function.
    Gelu,
    /// Its tanh approximation.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2`.
    ReluSquared,
}

/// How a mixture chooses: softmax over all experts, the k largest.
#[derive(Clone, PartialEq, Debug)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many each token uses.
    pub top_k: usize,
    /// Whether the chosen weights are divided by their sum.
    pub normalise: bool,
    /// The router's weight, `[E, D]`.
    pub router: String,
}
