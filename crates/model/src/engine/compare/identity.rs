//! Which variants are the same function, so that one of them is enough.
//!
//! Without values (v) attention puts out nothing, as without o; without queries every score is 0, as without keys; without up or
//! without gate nothing reaches down. What stands between must leave zero alone: no bias in o or down (of the cell whose output is
//! not itself replaced), no bias in the norms of queries and keys.

use std::collections::HashMap;

use super::change::{Change, OutputChange, Variant};
use crate::architecture::{HeadNorm, Layer};
use crate::engine::error::EngineError;
use crate::engine::pass::Engine;
use tomo_map::{CellId, Component};

impl Engine {
    /// For each variant the first one that is the same function of every text: its own number, unless both do nothing but set
    /// outputs of cells to zero.
    ///
    /// # Errors
    /// A bias that cannot be read.
    pub fn same_function(&self, variants: &[Variant]) -> Result<Vec<usize>, EngineError> {
        let mut first = HashMap::new();
        let mut same = Vec::with_capacity(variants.len());
        for (number, variant) in variants.iter().enumerate() {
            same.push(match self.zeroed(variant)? {
                Some(cells) => *first.entry(cells).or_insert(number),
                None => number,
            });
        }
        Ok(same)
    }

    /// The cells that a variant of zeros alone sets to zero, by the cells that stand for them; ascending.
    fn zeroed(&self, variant: &Variant) -> Result<Option<Vec<CellId>>, EngineError> {
        let mut cells = Vec::with_capacity(variant.changes.len());
        for (cell, change) in &variant.changes {
            let (Change::Output(OutputChange::Zero), Some(source)) = (change, self.model.cells().get(*cell)) else {
                return Ok(None);
            };
            cells.push(self.stands_for(source.id)?);
        }
        cells.sort_unstable();
        cells.dedup();
        Ok(Some(cells))
    }

    /// The cell whose zero is the same function as that of `id`.
    fn stands_for(&self, id: CellId) -> Result<CellId, EngineError> {
        let Some(layer) = self.architecture.layers.get(id.layer as usize) else { return Ok(id) };
        let component = match id.component {
            Component::AttnK if keeps_zero_scores(layer) => Component::AttnQ,
            Component::AttnV if !self.has_bias(CellId { component: Component::AttnO, ..id })? => Component::AttnO,
            Component::MlpUp | Component::MlpGate => {
                match self.has_bias(CellId { component: Component::MlpDown, ..id })? {
                    false => Component::MlpDown,
                    true => Component::MlpUp,
                }
            }
            own => own,
        };
        Ok(CellId { component, ..id })
    }

    fn has_bias(&self, id: CellId) -> Result<bool, EngineError> {
        let Some(at) = self.model.cells().iter().position(|cell| cell.id == id) else { return Ok(true) };
        Ok(self.model.load_bias(at)?.is_some())
    }
}

/// Whether queries or keys of zero are zero where they meet.
fn keeps_zero_scores(layer: &Layer) -> bool {
    let keeps = |norm: &Option<HeadNorm>| norm.as_ref().is_none_or(|n| n.norm.bias.is_empty() && n.norm.epsilon > 0.0);
    keeps(&layer.attention.query_norm) && keeps(&layer.attention.key_norm)
}
