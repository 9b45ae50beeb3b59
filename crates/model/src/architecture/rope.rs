//! Rotary embeddings: frequencies for a sequence of a given length.

use std::borrow::Cow;

/// A rotary embedding of the half-split kind: entry i of the first half of the rotated dims pairs with entry i of the
/// second half.
#[derive(Clone, PartialEq, Debug)]
pub struct Rope {
    /// Leading dims of each head that are rotated; even, at most C.
    pub dims: usize,
    /// Angles per position.
    pub frequencies: Vec<f32>,
    /// Multiplier of cosine and sine.
    pub attention_factor: f32,
}

impl Rope {
    /// Angle per position of each pair (`dims / 2` of them) and the multiplier of cosine and sine, for a sequence of
    /// `length` tokens.
    pub fn for_length(&self, length: usize) -> (Cow<'_, [f32]>, f32) {
        let _ = length;
        (Cow::Borrowed(&self.frequencies), self.attention_factor)
    }
}
