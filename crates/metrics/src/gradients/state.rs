//! What is left of the cells that are done, and its bytes, from which a pass is resumed to the same bits.

use serde::{Deserialize, Serialize};
use tomo_model::Model;
use tomo_model::engine::EngineError;

use super::cell::Done;
use super::output_error::Numbers;
use crate::{Share, StateError};

const MAGIC: &str = "tomograph.gradients/1";

/// Cells that are done and layers that are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// Parallel to the cells.
    pub(crate) cells: Vec<Option<Done>>,
    pub(crate) layers: Vec<bool>,
}

impl Finished {
    pub(crate) fn new(model: &Model) -> Self {
        Self { cells: model.cells().iter().map(|_| None).collect(), layers: vec![false; model.grid().layers as usize] }
    }

    /// What is known of a cell whose layer is done.
    pub(crate) fn layer(&mut self, layer: u32, cells: impl Iterator<Item = (usize, Done)>) {
        cells.for_each(|(cell, done)| self.cells[cell] = Some(done));
        if let Some(done) = self.layers.get_mut(layer as usize) {
            *done = true;
        }
    }

    /// Takes what a part of the scan knows that had this share.
    pub(crate) fn absorb(&mut self, part: Self, share: &Share, numbers: Numbers) -> Result<(), StateError> {
        if part.layers.len() != self.layers.len() || part.cells.len() != self.cells.len() {
            return Err(StateError::new("it is of another model"));
        }
        if part.cells.iter().flatten().any(|done| done.sums.len() != numbers.sequences) {
            return Err(StateError::new("it is of other sequences"));
        }
        self.layers.iter_mut().zip(&part.layers).for_each(|(done, its)| *done |= its);
        match share {
            Share::Cells(cells) => {
                let mut theirs = part.cells;
                cells.iter().for_each(|cell| self.cells[*cell] = theirs[*cell].take());
            }
            Share::Sequences(sequences) => {
                for (own, its) in self.cells.iter_mut().zip(part.cells) {
                    match (own.as_mut(), its) {
                        (_, None) => {}
                        (None, its) => *own = its,
                        (Some(own), Some(its)) => own.absorb(&its, sequences, numbers)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// As bytes; `about` is what makes two passes alike.
    pub(crate) fn save(&self, about: &str) -> Vec<u8> {
        // Into memory nothing fails; what cannot be read again is not gone on from.
        postcard::to_stdvec(&(MAGIC, about, self)).unwrap_or_default()
    }

    /// Takes what [`Finished::save`] gave of a pass like this one.
    pub(crate) fn restore(&mut self, saved: &[u8], about: &str) -> Result<(), EngineError> {
        let refused = |reason: String| EngineError::Saved { reason };
        let ((magic, its), rest): ((&str, &str), _) =
            postcard::take_from_bytes(saved).map_err(|e| refused(e.to_string()))?;
        if magic != MAGIC || its != about {
            return Err(refused("it is of other metrics, sequences or options".into()));
        }
        let (finished, rest): (Self, _) = postcard::take_from_bytes(rest).map_err(|e| refused(e.to_string()))?;
        if finished.layers.len() != self.layers.len() || finished.cells.len() != self.cells.len() {
            return Err(refused("it is of another model".into()));
        }
        if !rest.is_empty() {
            return Err(refused("it is too long".into()));
        }
        *self = finished;
        Ok(())
    }
}
