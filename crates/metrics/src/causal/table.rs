//! What changes did to sequences: numbers only, and all that is kept of a scan.

use serde::{Deserialize, Serialize};
use tomo_model::engine::TokenDamage;

/// What a change did to the predictions of one sequence: sums over its predicted tokens.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Damage {
    /// Divergence from the original, in nats.
    pub kl: f64,
    /// Negative log likelihood less that of the original, in nats.
    pub nll: f64,
    /// Tokens on which both find the same one most likely.
    pub agreed: u32,
}

/// Damage by variant and sequence, as far as it is known.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    sequences: usize,
    /// `[variants, sequences]`.
    damage: Vec<Option<Damage>>,
    /// By sequence, negative log likelihood of each predicted token under the original.
    original: Vec<Option<Vec<f64>>>,
}

impl Table {
    pub(crate) fn new(variants: usize, sequences: usize) -> Self {
        Self { sequences, damage: vec![None; variants * sequences], original: vec![None; sequences] }
    }

    /// Whether it is of as many variants and sequences.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let sizes = |table: &Self| (table.sequences, table.damage.len(), table.original.len());
        sizes(self) == sizes(other)
    }

    /// Negative log likelihood of a sequence under the original: the sum over its predicted tokens.
    pub(crate) fn original(&self, sequence: usize) -> Option<f64> {
        self.original.get(sequence)?.as_ref().map(|nll| nll.iter().sum())
    }

    /// Takes what another table of the same scan knows.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (own, its) in self.damage.iter_mut().zip(other.damage) {
            *own = own.take().or(its);
        }
        for (own, its) in self.original.iter_mut().zip(other.original) {
            *own = own.take().or(its);
        }
    }

    pub(crate) fn get(&self, variant: usize, sequence: usize) -> Option<&Damage> {
        self.damage.get(variant * self.sequences + sequence)?.as_ref()
    }

    /// The original's loss on a sequence, which comes before the variants'.
    pub(crate) fn see_original(&mut self, sequence: usize, nll: &[f64]) {
        if let Some(kept) = self.original.get_mut(sequence) {
            *kept = Some(nll.to_vec());
        }
    }

    pub(crate) fn see(&mut self, variant: usize, sequence: usize, tokens: &[TokenDamage]) {
        let Some(Some(original)) = self.original.get(sequence) else { return };
        let mut sum = Damage::default();
        for (token, before) in tokens.iter().zip(original) {
            sum.kl += token.kl;
            sum.nll += token.nll - before;
            sum.agreed += u32::from(token.agrees);
        }
        if let Some(place) = self.damage.get_mut(variant * self.sequences + sequence) {
            *place = Some(sum);
        }
    }
}
