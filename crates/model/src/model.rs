use std::sync::Arc;

use tomo_checkpoint::Source;
use tomo_map::{CellId, Grid};

/// Where in a tensor a cell's rows are: `count` runs of `length` rows, the first at `start`, each `stride` after the last.
/// A plain tensor is one run of all its rows; interleaved q/k/v (gpt_neox) is one run per head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Storage {
    /// First row (an output feature) in the tensor seen as `rows x columns`; a stack `[E, out, in]` has `E * out` rows.
    pub start: u64,
    /// Rows per run.
    pub length: u64,
    /// Rows from one run's start to the next's.
    pub stride: u64,
    /// Number of runs.
    pub count: u64,
    /// Whether the tensor holds W transposed (`[in, out]`, gpt2's Conv1D): runs are then of columns.
    pub transposed: bool,
}

/// One cell and where its weights are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CellSource {
    /// Which cell.
    pub id: CellId,
    /// Tensor in the checkpoint.
    pub tensor: String,
    /// Which part of it.
    pub storage: Storage,
    /// Output features m.
    pub out_features: u64,
    /// Input features n.
    pub in_features: u64,
}

/// A checkpoint whose family is known.
pub struct Model {
    source: Arc<dyn Source>,
    family: String,
    grid: Grid,
    cells: Vec<CellSource>,
}

/// Why a checkpoint could not be understood or a cell not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Reading failed.
    #[error(transparent)]
    Checkpoint(#[from] tomo_checkpoint::Error),
    /// The family could not be recognised, or the checkpoint contradicts it.
    #[error("{0}")]
    Family(String),
}

impl Model {
    /// A model from its parts; `cells` must be sorted and parallel to `grid.cells`.
    pub fn from_parts(source: Arc<dyn Source>, family: String, grid: Grid, cells: Vec<CellSource>) -> Self {
        Self { source, family, grid, cells }
    }

    /// Family id, e.g. `llama`.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The cells as the map describes them.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Where each cell of the grid is stored, in the grid's order.
    pub fn cells(&self) -> &[CellSource] {
        &self.cells
    }

    /// The checkpoint.
    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    /// Decodes cell number `index` into `out`, row-major `out_features x in_features`; `out` is resized to fit.
    ///
    /// # Errors
    /// When the tensor cannot be decoded.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn load(&self, index: usize, out: &mut Vec<f32>) -> Result<(), ModelError> {
        let cell = &self.cells[index];
        let numel = usize::try_from(cell.out_features * cell.in_features)
            .map_err(|_| ModelError::Family(format!("{} does not fit in memory", cell.id)))?;
        out.resize(numel, 0.0);
        let start = cell.storage.start * cell.in_features;
        let range = start..start + cell.out_features * cell.in_features;
        self.source.decode(&cell.tensor, range, out)?;
        Ok(())
    }
}
