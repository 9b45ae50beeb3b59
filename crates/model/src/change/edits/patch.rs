//! # What it does
//! The cell's weights become those of the same cell of another checkpoint (`--against`).
//!
//! # Algorithm
//! W' is what the other checkpoint holds for the same layer, component and expert, decoded to f32. A bias stays the model's own.
//!
//! # Misleads when
//! Norms, or the other cells that read and write the same stream, moved as well: a cell out of its surroundings can do more
//! damage than its own difference explains.
//!
//! # Source
//! Model merging one part at a time, as in Stethoscope for Networks (arXiv 2505.20993).

use std::sync::Arc;

use super::Edit;
use crate::Model;
use crate::change::error::ChangeError;
use crate::engine::{CellWeights, EngineError, Rewrite};
use crate::load::first_not_finite;

pub(super) fn parse(words: &[&str]) -> Option<Edit> {
    words.is_empty().then_some(Edit::Patch)
}

/// A cell of another checkpoint.
pub(super) struct Patch {
    other: Arc<Model>,
    /// Index of the cell there.
    cell: usize,
}

impl Patch {
    /// The cell of `other` that stands for cell number `cell` of `model`.
    pub(super) fn new(model: &Model, cell: usize, other: &Arc<Model>) -> Result<Self, ChangeError> {
        let own = &model.cells()[cell];
        let shape = |out: u64, inputs: u64| format!("{out} x {inputs}");
        let expected = shape(own.out_features, own.in_features);
        let mismatch = |found: String| ChangeError::Mismatch { cell: own.id, expected: expected.clone(), found };
        let at = other.cells().binary_search_by_key(&own.id, |c| c.id).map_err(|_| mismatch("no such cell".into()))?;
        let found = &other.cells()[at];
        if (found.out_features, found.in_features) != (own.out_features, own.in_features) {
            return Err(mismatch(shape(found.out_features, found.in_features)));
        }
        Ok(Self { other: Arc::clone(other), cell: at })
    }
}

impl Rewrite for Patch {
    fn rewrite(&self, _weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        self.other.load_into(self.cell, out)?;
        self.other.release(self.cell);
        let Some(at) = first_not_finite(out) else { return Ok(()) };
        let cell = &self.other.cells()[self.cell];
        let cols = out.len() / usize::try_from(cell.out_features).unwrap_or(1).max(1);
        Err(EngineError::NotFinite {
            tensor: crate::error::quoted(&cell.tensor),
            place: format!("row {}, column {} of {} in the checkpoint it is taken from", at / cols, at % cols, cell.id),
            value: out[at],
        })
    }
}
