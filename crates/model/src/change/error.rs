use tomo_map::{CellId, SelectionError};

use crate::ModelError;
use crate::engine::EngineError;

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// A change that is no `SELECTION=EDIT`.
    #[error(
        "a change is not understood\n  found: {text}\n  expected: SELECTION=EDIT\n  hint: L12.mlp.down=int3, attn.v=zero, \
         all=q4_0"
    )]
    Form {
        /// What was found, quoted.
        text: String,
    },

    /// An address that selects no cells.
    #[error(transparent)]
    Selection(#[from] SelectionError),

    /// A word that names no edit.
    #[error("no edit is called {word}\n  expected: one of {known}{}", did_you_mean(near))]
    Edit {
        /// The word, quoted.
        word: String,
        /// All edits.
        known: String,
        /// Those with like names.
        near: Vec<String>,
    },

    /// An edit whose parameters make no sense.
    #[error("the edit {text} is not understood\n  expected: {expected}")]
    Parameters {
        /// The edit, quoted.
        text: String,
        /// How it is written.
        expected: String,
    },

    /// An edit that needs something which is not there.
    #[error("{cell} cannot be set to {edit}: {reason}")]
    Unavailable {
        /// Which cell.
        cell: CellId,
        /// The edit.
        edit: String,
        /// What is missing, and a hint.
        reason: String,
    },

    /// The checkpoint that cells are taken from does not fit.
    #[error(
        "the cell of the other checkpoint does not fit\n  cell: {cell}\n  expected: {expected}\n  found: {found}\n  hint: \
         patch takes cells of a model of the same shape"
    )]
    Mismatch {
        /// Which cell.
        cell: CellId,
        /// What the model has.
        expected: String,
        /// What the other one has.
        found: String,
    },

    /// A checkpoint.
    #[error(transparent)]
    Model(#[from] ModelError),

    /// A pass that the changes need.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("\n  hint: did you mean {}?", near.join(" or ")) }
}
