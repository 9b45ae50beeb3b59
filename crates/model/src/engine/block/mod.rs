//! One block on a group of sequences, forward and backward.

mod backward;
mod changed;
mod forward;
mod mixture;
mod mlp;

use std::collections::HashMap;

pub(crate) use backward::{BlockGradients, Gradients, hand_out_norm};
pub(crate) use changed::{Edit, Edits};
pub(crate) use mlp::MlpTape;

use super::buffer::Buffer;
use super::ops::{Columns, Heads, NormWeights, RotaryTable, normalise_heads};
use super::taps::Taps;
use super::weights::BlockWeights;
use crate::architecture::{Attention, HeadNorm, Layer, Span};

/// Rotary tables by index of the rope and length of the sequence.
pub(crate) type RotaryTables = HashMap<(usize, usize), RotaryTable>;

/// One block, ready to run.
pub(crate) struct Block<'a> {
    pub(crate) layer: u32,
    pub(crate) hidden: usize,
    pub(crate) spec: &'a Layer,
    pub(crate) weights: &'a BlockWeights,
    pub(crate) rotary: &'a RotaryTables,
    pub(crate) taps: &'a Taps<'a>,
}

/// Intermediate values of a block for one group, R rows: allocated once and used for block after block, or kept for the way
/// back.
#[derive(Default)]
pub(crate) struct Tape {
    /// Whether the block is to run backward from here: then nothing is overwritten that the way back needs.
    keeps: bool,
    /// `[R, D]`: the residual before the block, for the way back and for those who compare.
    pub(crate) before: Buffer,
    /// `[R, D]`: what attention reads.
    input: Buffer,
    /// `[R, (H + 2 K) C]`: outputs of q, k and v. Kept only.
    projected: Buffer,
    /// `[R, (H + 2 K) C]`: the same after norms, clamp and rotation.
    qkv: Buffer,
    /// `[R, H C]`.
    context: Buffer,
    /// `[R, D]`: output of o. Kept only, where it is not what is added.
    attention_out: Buffer,
    /// `[R, D]`: what attention adds.
    attention_add: Buffer,
    /// `[R, D]`: the residual between attention and MLP. Kept only, where the MLP reads it.
    between: Buffer,
    /// `[R, D]`: what the MLP reads, where it is not what attention reads.
    mlp_input: Buffer,
    mlp: MlpTape,
    mixture: mixture::Tape,
    /// `[R, D]`: output of down, or of the mixture. Kept only, where it is not what is added.
    mlp_out: Buffer,
    /// `[R, D]`: what the MLP adds.
    mlp_add: Buffer,
}

impl Tape {
    /// A tape that a block can run backward from.
    pub(crate) fn kept() -> Self {
        Self { keeps: true, ..Self::default() }
    }
}

impl Block<'_> {
    /// Where the heads are in the rows of q, k and v: of the queries, of the keys.
    fn head_columns(&self) -> (Columns, Columns) {
        let Attention { heads, kv_heads, head_dim: width, .. } = self.spec.attention;
        let stride = self.weights.qkv.outputs;
        let queries = Columns { stride, first: 0, count: heads, width };
        let keys = Columns { stride, first: heads * width, count: kv_heads, width };
        (queries, keys)
    }

    /// The norms of queries and keys with the columns that each runs over.
    fn head_norms(&self) -> impl Iterator<Item = (Columns, &HeadNorm, &NormWeights)> {
        let (queries, keys) = self.head_columns();
        let spec = &self.spec.attention;
        let norms =
            [(queries, &spec.query_norm, &self.weights.query_norm), (keys, &spec.key_norm, &self.weights.key_norm)];
        norms.into_iter().filter_map(|(columns, spec, norm)| {
            let (spec, norm) = (spec.as_ref()?, norm.as_ref()?);
            let columns = match spec.span {
                Span::Head => columns,
                Span::All => Columns { count: 1, width: columns.count * columns.width, ..columns },
            };
            Some((columns, spec, norm))
        })
    }

    /// Norms of queries and keys, of those whose columns are `wanted`.
    fn normalise_projected(&self, qkv: &mut [f32], wanted: impl Fn(Columns) -> bool) {
        for (columns, _, norm) in self.head_norms().filter(|(columns, ..)| wanted(*columns)) {
            normalise_heads(qkv, columns, norm);
        }
    }

    /// Whole rows of the residual, as columns.
    fn whole_rows(&self) -> Columns {
        Columns { stride: self.hidden, first: 0, count: 1, width: self.hidden }
    }
}

fn heads(spec: &Attention) -> Heads {
    let Attention { heads, kv_heads, head_dim, scale, softcap, window, .. } = *spec;
    Heads { heads, kv_heads, head_dim, scale, softcap, window }
}
