//! A model that differs from the original in some cells, and what the difference does to its predictions.

use std::fmt;
use std::sync::Arc;

use crate::engine::error::EngineError;
use crate::engine::tap::CellWeights;
use crate::model::Model;

/// What is done to one cell while a pass runs.
#[derive(Clone, Debug)]
pub enum Change {
    /// What it puts out, y `[T, m]` (with its bias, before norm, clamp and rotation), is replaced. Of an expert: on the
    /// tokens that chose it.
    Output(OutputChange),
    /// Its weights are replaced by others of the same shape.
    Weights(Arc<dyn Rewrite>),
}

/// What takes the place of a cell's output.
#[derive(Clone, Debug)]
pub enum OutputChange {
    /// Zero.
    Zero,
    /// The same row for every token, `[m]`.
    Constant(Arc<[f32]>),
    /// What the original cell puts out on the next sequence (on the first after the last) of all sequences of the pass, at
    /// the same position. Positions that the next sequence does not have are left as they are. Not for experts.
    Resample,
}

/// Other weights for a cell.
pub trait Rewrite: Send + Sync {
    /// From W to W', both `[m, n]` row-major; `out` is as long as W and holds anything. Called once per round, in the
    /// worker pool, and must give the same bits every time. Values that are not finite make the damage infinite.
    ///
    /// # Errors
    /// [`EngineError::Rewrite`], or whatever else stands in the way; it ends the pass.
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError>;

    /// W', where it is kept by whoever makes it for several variants; nothing by default, and then [`Rewrite::rewrite`] is asked.
    ///
    /// # Errors
    /// As [`Rewrite::rewrite`].
    fn kept(&self, weights: &CellWeights<'_>) -> Result<Option<Arc<Vec<f32>>>, EngineError> {
        let _ = weights;
        Ok(None)
    }
}

impl fmt::Debug for dyn Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewrite")
    }
}

/// A model that differs from the original in some cells.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// Which cells, by their index in the grid, and how; one change per cell at most. Without changes it is the original.
    pub changes: Vec<(usize, Change)>,
    /// Another variant that is the same below some layer: where both run in one round, what lies below is run once.
    pub branch: Option<Branch>,
}

/// Where a variant leaves another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Branch {
    /// Number of the other, which is no branch itself. All its changes below `layer` are this variant's too.
    pub of: usize,
    /// The first layer that may differ.
    pub layer: u32,
}

impl Change {
    /// Whether both are known to do the same.
    fn is(&self, other: &Self) -> bool {
        use OutputChange::{Constant, Resample, Zero};
        match (self, other) {
            (Self::Weights(a), Self::Weights(b)) => Arc::ptr_eq(a, b),
            (Self::Output(Constant(a)), Self::Output(Constant(b))) => Arc::ptr_eq(a, b),
            (Self::Output(a), Self::Output(b)) => matches!((a, b), (Zero, Zero) | (Resample, Resample)),
            _ => false,
        }
    }
}

/// What a change does to the prediction of one token.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TokenDamage {
    /// KL(original || variant) of the two distributions, in nats; never negative, never NaN. Exactly 0 where the final
    /// hidden states have the same bits. Infinite where the variant's numbers leave the range of f32.
    pub kl: f64,
    /// Negative log likelihood of the token under the variant, in nats; never NaN, infinite as `kl` is.
    pub nll: f64,
    /// Whether both find the same token most likely, the first of equals.
    pub agrees: bool,
}

/// Who takes what a comparison finds. Methods are called one after the other when a round is done: first the original on
/// every sequence, then variant by variant, each on every sequence in ascending order.
pub trait DamageSink: Sync {
    /// Negative log likelihood in nats of tokens 1, 2, … of a sequence under the original.
    fn original(&self, sequence: usize, nll: &[f64]);

    /// What variant number `variant` makes of tokens 1, 2, … of a sequence. Its bits depend on nothing else that runs in the
    /// round, nor on how rounds are cut.
    fn see(&self, variant: usize, sequence: usize, tokens: &[TokenDamage]);
}

/// Sequences and variants that run together: every one of these variants on every one of these sequences.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Round {
    /// Indices into all sequences, ascending.
    pub sequences: Vec<usize>,
    /// Indices into all variants, ascending.
    pub variants: Vec<usize>,
}

impl Variant {
    /// The first layer that differs; `None` for the original.
    pub(super) fn first_layer(&self, model: &Model) -> Option<usize> {
        self.changes.iter().filter_map(|(cell, _)| Some(model.cells().get(*cell)?.id.layer as usize)).min()
    }

    /// The layer at which it begins to run by itself: where it leaves the variant that it is a branch of, if that runs too.
    pub(super) fn starts_at(&self, model: &Model, others: &[usize]) -> Option<usize> {
        match self.branch.filter(|branch| others.contains(&branch.of)) {
            Some(branch) => Some(branch.layer as usize),
            None => self.first_layer(model),
        }
    }

    /// Refuses a branch that is none, as that of variant number `variant`.
    pub(super) fn check_branch(&self, variant: usize, all: &[Self], model: &Model) -> Result<(), EngineError> {
        let Some(Branch { of, layer }) = self.branch else { return Ok(()) };
        let refuse = |reason: &str| {
            let reason = reason.to_owned();
            Err(EngineError::Variant { variant, cell: format!("branch of variant {of} at layer {layer}"), reason })
        };
        let layers = model.cells().iter().map(|cell| cell.id.layer + 1).max().unwrap_or(0);
        match all.get(of) {
            Some(other) if of != variant && other.branch.is_none() && layer < layers => {
                let below = |all: &Self| -> Vec<(usize, Change)> {
                    let mut below = all.changes.clone();
                    below.retain(|(cell, _)| model.cells().get(*cell).is_some_and(|c| c.id.layer < layer));
                    below.sort_by_key(|(cell, _)| *cell);
                    below
                };
                let (own, others) = (below(self), below(other));
                let same = own.len() == others.len()
                    && own.iter().zip(&others).all(|(own, other)| own.0 == other.0 && own.1.is(&other.1));
                if same { Ok(()) } else { refuse("the two differ below that layer") }
            }
            Some(_) if layer >= layers => refuse("the model has no such layer"),
            _ => refuse("expected another variant that is no branch itself"),
        }
    }

    /// Whether it takes outputs from other sequences.
    pub(super) fn resamples(&self) -> bool {
        self.changes.iter().any(|(_, change)| matches!(change, Change::Output(OutputChange::Resample)))
    }

    /// Refuses changes that cannot be made, as those of variant number `variant` of a pass over so many sequences.
    pub(super) fn check(&self, variant: usize, sequences: usize, model: &Model) -> Result<(), EngineError> {
        for (at, (cell, change)) in self.changes.iter().enumerate() {
            let refuse = |cell: String, reason: String| Err(EngineError::Variant { variant, cell, reason });
            let Some(source) = model.cells().get(*cell) else {
                return refuse(format!("cell {cell}"), format!("the model has {} cells", model.cells().len()));
            };
            let name = source.id.to_string();
            if self.changes[..at].iter().any(|(other, _)| other == cell) {
                return refuse(name, "two changes of one cell".to_owned());
            }
            match change {
                Change::Output(OutputChange::Constant(row)) if row.len() as u64 != source.out_features => {
                    let (expected, found) = (source.out_features, row.len());
                    return refuse(name, format!("expected a row of {expected} outputs, found {found}"));
                }
                Change::Output(OutputChange::Resample) if source.id.expert.is_some() => {
                    return refuse(name, "tokens of an expert have no partner in another sequence".to_owned());
                }
                Change::Output(OutputChange::Resample) if sequences < 2 => {
                    return refuse(name, "there is no other sequence to take outputs from".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}
