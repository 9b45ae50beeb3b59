//! # What it does
//! The cell's weights become what a number format makes of them: `int3`, `nf4`, `q4_0` and every other that `tomograph list
//! quantizations` shows.
//!
//! # Algorithm
//! `W' = decode(encode(W))`. Integer formats cut rows into groups of `--group` weights, or of as many as the edit says:
//! `int3:g64`. The scan's error metrics and these edits use the same code.
//!
//! # Misleads when
//! The model was stored in a coarse format already: what is rounded is then what that format left.
//!
//! # Source
//! The format's own page, `tomograph explain int3`.

use tomo_map::CellId;
use tomo_quant::{Format, Matrix};

use super::Edit;
use crate::engine::{CellWeights, EngineError, Rewrite};

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

/// Rounds to a format.
pub(super) struct Rounded {
    pub(super) cell: CellId,
    pub(super) format: &'static Format,
    pub(super) group: usize,
}

impl Rewrite for Rounded {
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        let matrix = Matrix::new(weights.values, weights.cols, self.group);
        matrix
            .and_then(|matrix| self.format.roundtrip(&matrix, out))
            .map_err(|error| EngineError::Rewrite { cell: self.cell.to_string(), reason: error.to_string() })
    }
}
