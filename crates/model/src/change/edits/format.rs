//! # What it does
//! The cell's weights become what a number format makes of them: `int3`, `nf4`, `q4_0` and every other that `tomograph list
//! quantizations` shows.
//!
//! # Algorithm
//! `W' = decode(encode(W))`. Integer formats cut rows into groups of `--group` weights, or of as many as the edit says:
//! `int3:g64`. The scan's error metrics and these edits use the same code. Types of GGUF go through the codec that writes them,
//! without importances; where their blocks do not divide a row, the type that llama-quantize takes instead is used, and that is
//! said: `q4_k` on 576 columns is `q5_0`.
//!
//! # Misleads when
//! The model was stored in a coarse format already: what is rounded is then what that format left.
//!
//! # Source
//! The format's own page, `tomograph explain int3`.

use rayon::prelude::*;
use tomo_map::CellId;
use tomo_quant::{Format, Matrix, ShapeError};

use super::Edit;
use crate::engine::{CellWeights, EngineError, Rewrite};

/// Rows that one task encodes at a time.
const ROWS: usize = 16;

/// A format is known by its id.
#[derive(Clone, Copy)]
pub struct Quantization(pub &'static Format);

impl PartialEq for Quantization {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl std::fmt::Debug for Quantization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.id)
    }
}

/// The edit of a format's id and what follows it; `None` where that does not fit the format.
pub(super) fn parse(format: &'static Format, words: &[&str]) -> Option<Edit> {
    let group = match words {
        [] => None,
        [group] if format.takes_group() => Some(group.strip_prefix('g')?.parse().ok().filter(|g| *g > 0)?),
        _ => return None,
    };
    Some(Edit::Format { format: Quantization(format), group })
}

/// What rows of `cols` weights are stored as when `format` is asked for: of GGUF's types, what llama-quantize takes.
pub(super) fn stored_as(format: &'static Format, cols: usize) -> &'static Format {
    let fallback = format.stored().map(|block| block.fallback(cols)).filter(|block| block.id != format.id);
    fallback.and_then(|block| tomo_quant::find(block.id)).unwrap_or(format)
}

/// Rounds to a format.
pub(super) struct Rounded {
    pub(super) cell: CellId,
    pub(super) format: &'static Format,
    pub(super) group: usize,
}

impl Rounded {
    fn round(&self, weights: &[f32], cols: usize, out: &mut [f32]) -> Result<(), ShapeError> {
        self.format.roundtrip(&Matrix::new(weights, cols, self.group)?, out)
    }
}

impl Rewrite for Rounded {
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        let cols = weights.cols;
        let rounded = match self.format.stored() {
            // Its rows know nothing of each other, and its searches take long enough to be shared.
            Some(_) => {
                let run = cols.max(1) * ROWS;
                let parts = out.par_chunks_mut(run).zip(weights.values.par_chunks(run));
                parts.try_for_each(|(out, weights)| self.round(weights, cols, out))
            }
            None => self.round(weights.values, cols, out),
        };
        rounded.map_err(|error| EngineError::Rewrite { cell: self.cell.to_string(), reason: error.to_string() })
    }
}
