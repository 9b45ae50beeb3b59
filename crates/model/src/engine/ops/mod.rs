//! The arithmetic of a block over plain row-major f32: matrix products by faer, everything around them here.
//!
//! Each operation is a function of slices; work is split over rows with rayon in the pool that the caller runs in.

mod activation;
mod attention;
mod cross_entropy;
mod damage;
mod head;
mod head_gradient;
mod head_weights;
mod linear;
mod math;
mod norm;
mod rotary;
#[cfg(test)]
mod tests;

pub(crate) use activation::{activate, activate_backward, gate, gate_backward, gate_rows};
pub(crate) use attention::{Heads, attention, attention_backward};
pub(crate) use cross_entropy::CrossEntropy;
pub(crate) use damage::{Damage, Original, OriginalTile};
pub(crate) use head::HeadRows;
pub(crate) use head_gradient::{HeadGradients, HeadLoss, Targets};
pub(crate) use head_weights::{Against, head_weight_gradient};
pub(crate) use linear::{
    add, clamp, clamp_backward, linear, linear_backward, linear_into, scale, softcap, weight_gradient,
};
pub(crate) use norm::{
    NormWeights, norm_gradient, normalise, normalise_backward, normalise_heads, normalise_heads_backward,
};
pub(crate) use rotary::{RotaryTable, rotate, rotate_back};

/// A block of columns inside wider rows: `count` groups of `width` columns, the first at `first`, in rows that are
/// `stride` apart. Queries inside `[q | k | v]`, say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) stride: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) width: usize,
}

impl Columns {
    /// Columns from first to last.
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.first..self.first + self.count * self.width
    }
}
