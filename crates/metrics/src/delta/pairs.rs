use tomo_map::{Grid, Status};
use tomo_model::{Model, ModelError};

use super::{Cast, Factors};

/// Two states of the cells of a grid: what training began with, and what it left.
pub trait Pairs: Sync {
    /// The cells, as the map describes them.
    fn grid(&self) -> &Grid;

    /// What cell number `index` of the grid was and became. Called once per cell, by the worker that scores it.
    ///
    /// # Errors
    /// When what describes the change cannot be read.
    fn pair(&self, index: usize) -> Result<Pair<'_>, ModelError>;

    /// What both sides are rounded to before they are compared.
    fn cast(&self) -> Option<Cast> {
        None
    }

    /// Matrices of f32 that a cell takes where only sums are asked for.
    fn matrices(&self) -> u64 {
        0
    }

    /// Bytes that scoring cell number `index` reads, for the schedule and the progress.
    fn bytes(&self, index: usize) -> u64;
}

/// A cell of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct StoredCell<'a> {
    /// The checkpoint.
    pub model: &'a Model,
    /// Number of the cell in the grid of that model.
    pub index: usize,
}

/// What a cell was and became.
pub enum Pair<'a> {
    /// Both states are stored.
    Stored {
        /// W0.
        base: StoredCell<'a>,
        /// W1.
        tuned: StoredCell<'a>,
    },
    /// The change is known by its factors, the base perhaps.
    Factors {
        /// W0, where there is a base.
        base: Option<StoredCell<'a>>,
        /// From W0 to W1.
        change: Factors,
    },
    /// The cell cannot be compared: every metric says so.
    Missing {
        /// In what way.
        status: Status,
        /// Why.
        reason: String,
    },
}
