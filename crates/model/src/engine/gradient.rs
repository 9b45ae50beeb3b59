//! What a reverse pass differentiates, what it hands out, and who gets it.

use std::ops::Range;
use std::sync::Arc;

use tomo_map::CellId;

use super::error::EngineError;
use super::ops::{linear, weight_gradient};
use super::tap::Rows;

/// A sequence for a reverse pass: token ids, from position 0, by itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// Token ids: what is embedded, and what is to be predicted.
    pub tokens: Vec<u32>,
    /// Where the embedding is not that of the tokens alone: a point on the way to them from other tokens.
    pub blend: Option<Blend>,
    /// Number of the sequence in its text, which labels are drawn by; its index in the pass where `None`.
    pub number: Option<u64>,
}

impl From<Vec<u32>> for Input {
    fn from(tokens: Vec<u32>) -> Self {
        Self { tokens, blend: None, number: None }
    }
}

/// `share * E[tokens] + (1 - share) * E[from]`, position by position; positions that `from` does not have are those of the
/// tokens.
#[derive(Clone, PartialEq, Debug)]
pub struct Blend {
    /// The tokens that the way starts from.
    pub from: Vec<u32>,
    /// How far it has come, 0 to 1.
    pub share: f32,
}

/// A scalar of each sequence, of which a reverse pass gives the gradients: a *sum* over tokens, in nats. Sequences do not
/// see each other, so gradients of one sequence are those of its own sum.
#[derive(Clone, PartialEq, Debug)]
pub struct Objective {
    /// What is summed.
    pub loss: Loss,
    /// Per sequence the positions of the tokens that are summed, ascending, from 1 to T - 1: an answer's tokens, say. All of
    /// them where `None`.
    pub positions: Option<Arc<[Vec<usize>]>>,
}

/// The loss of a token, given those before it.
#[derive(Clone, PartialEq, Debug)]
pub enum Loss {
    /// Negative log likelihood of the token.
    Text,
    /// Negative log likelihood of a token drawn from the model's own distribution: its gradient is a score, with mean zero
    /// and the Fisher information as covariance. Draws of different numbers are independent; one draw is the same
    /// whatever else is computed with it.
    Drawn {
        /// Seed of all draws.
        seed: u64,
        /// Number of the draw.
        draw: u64,
    },
    /// Negative log likelihood of these tokens, per sequence one for each of positions 1 to T - 1.
    Labels(Vec<Vec<u32>>),
    /// `KL(reference || model)`, the reference being given by its final hidden states (after the final norm), per sequence
    /// `[T, D]`, and the head of this model.
    Divergence(Arc<[Vec<f32>]>),
}

impl Objective {
    /// The negative log likelihood of the text.
    pub fn text() -> Self {
        Self { loss: Loss::Text, positions: None }
    }

    /// Tokens of sequence `sequence`, which has `length` tokens, that are summed.
    pub fn count(&self, sequence: usize, length: usize) -> usize {
        match &self.positions {
            None => length.saturating_sub(1),
            Some(positions) => positions.get(sequence).map_or(0, Vec::len),
        }
    }
}

/// Which rows of what is handed out belong to a sequence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Index of the sequence in the pass.
    pub sequence: usize,
    /// Its rows, in the order of their positions.
    pub rows: Range<usize>,
}

/// One cell on all tokens of some sequences: what went in, what came out, and the gradients of what came out. R rows.
#[derive(Clone, Copy, Debug)]
pub struct CellGradients<'a> {
    /// Index of the cell in the grid.
    pub cell: usize,
    /// Which one it is.
    pub id: CellId,
    /// W, row-major `[m, n]`.
    pub weights: &'a [f32],
    /// The bias that is in [`CellGradients::output`], `[m]`.
    pub bias: Option<&'a [f32]>,
    /// Whose rows these are: whole sequences; of an expert, the tokens routed to it.
    pub spans: &'a [Span],
    /// x, `[R, n]`.
    pub input: Rows<'a>,
    /// y = W x + b, before any norm, clamp or rotation, `[R, m]`.
    pub output: Rows<'a>,
    /// g = dL/dy of each objective, `[R, m]` each.
    pub gradients: &'a [Rows<'a>],
}

impl CellGradients<'_> {
    /// `out = x V^T` for other weights of the cell's shape: what a change of the weights makes of the inputs. `[R, m]`.
    pub fn product(&self, weights: &[f32], out: &mut [f32]) {
        linear(self.input, weights, None, out);
    }

    /// dL/dW of objective `objective` from the rows `rows`: `out = sum_t g_t x_t^T`, or added to `out` where `add` says so.
    /// `[m, n]`.
    ///
    /// # Panics
    /// When there is no such objective or row.
    pub fn weight_gradient(&self, objective: usize, rows: &Range<usize>, add: bool, out: &mut [f32]) {
        let g = self.gradients[objective].slice(rows.start, rows.len());
        weight_gradient(g, self.input.slice(rows.start, rows.len()), add, out);
    }
}

/// The gradient of a tensor that is no cell: a norm, a router, an embedding, the head; summed over all sequences.
#[derive(Clone, Copy, Debug)]
pub struct ParameterGradient<'a> {
    /// Name of the tensor. A tied embedding comes twice: as the head and as the embedding.
    pub tensor: &'a str,
    /// Which objective.
    pub objective: usize,
    /// dL/dtensor, row-major in the tensor's own layout.
    pub values: &'a [f32],
}

/// Who watches a reverse pass. Calls follow each other, from a thread of the engine's pool, so that rayon inside them runs on
/// the engine's threads: layers from the last to the first; in a layer groups of sequences in their order, in a group the
/// cells in the order of the reverse pass. Every cell of every group comes once.
pub trait GradientObserver: Send {
    /// A cell on a group of sequences. An expert that no token of a group was sent to is left out.
    fn see(&mut self, seen: &CellGradients<'_>);

    /// All groups of layer `layer` were handed out.
    fn layer_done(&mut self, layer: u32) {
        let _ = layer;
    }

    /// The lowest layer it is to see: where no observer wants to see more, the pass ends after it. Not asked of those who want
    /// [parameters](GradientObserver::wants_parameters).
    fn lowest_layer(&self) -> u32 {
        0
    }

    /// Whether [`GradientObserver::parameter`] shall be called.
    fn wants_parameters(&self) -> bool {
        false
    }

    /// The gradient of a tensor that is no cell.
    fn parameter(&mut self, gradient: &ParameterGradient<'_>) {
        let _ = gradient;
    }

    /// Everything it knows, when a layer is done: what [`GradientObserver::restore`] takes. Layers that are not done leave
    /// no trace in it.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Goes on from what [`GradientObserver::save`] gave to an observer made alike.
    ///
    /// # Errors
    /// What was saved cannot be read, and nothing of it was taken: the pass begins anew, or ends where another observer has
    /// gone on already.
    fn restore(&mut self, saved: &[u8]) -> Result<(), EngineError> {
        let _ = saved;
        Ok(())
    }
}

/// What a reverse pass gave.
#[derive(Clone, PartialEq, Debug)]
pub struct ReverseOutcome {
    /// Per objective and sequence, the loss of each token that is summed, in nats.
    pub losses: Vec<Vec<Vec<f64>>>,
    /// Whether it ran to its end; `false` when cancelled.
    pub completed: bool,
}
