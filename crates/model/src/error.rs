use tomo_map::CellId;

use crate::listing::Listing;

/// Why a checkpoint could not be understood or a cell not be loaded.
///
/// Messages name the tensor, what was expected and what was found; text from a file is escaped in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Reading failed.
    #[error(transparent)]
    Checkpoint(#[from] tomo_checkpoint::Error),

    /// No family fits.
    #[error(
        "unknown model family: {what}\n  expected: one of {expected}\n  found: {listing}\n  hint: name the cells \
         yourself, one --cell per component: --cell 'attn.q=layers.{{}}.wq.weight' ({{}} is the layer, {{e}} an expert)"
    )]
    UnknownFamily {
        /// What the checkpoint says it is.
        what: String,
        /// What would have been understood.
        expected: String,
        /// The names in it.
        listing: Box<Listing>,
    },

    /// A cell the family must have is not there.
    #[error(
        "{cell} is missing\n  expected: {expected}\n  found: {listing}\n  hint: --cell {component}=… names it",
        component = .cell.component
    )]
    MissingCell {
        /// Which cell.
        cell: CellId,
        /// Tensor names that were tried.
        expected: String,
        /// The names in the checkpoint.
        listing: Box<Listing>,
    },

    /// A tensor's shape contradicts the config or the rest of the checkpoint.
    #[error("{what} has the wrong shape\n  tensor: {tensor}\n  expected: {expected}\n  found: {found}")]
    Shape {
        /// The cell, or what else the tensor is for.
        what: String,
        /// The tensor.
        tensor: String,
        /// The shape that follows from the config.
        expected: String,
        /// The shape in the file.
        found: String,
    },

    /// The config lacks a key or has a value that makes no sense.
    #[error("the config does not give the model's dimensions\n  key: {key}\n  expected: {expected}\n  found: {found}")]
    Config {
        /// The key.
        key: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },

    /// A tensor that would make the map wrong if it were left out or taken as it is.
    #[error("{reason}\n  tensor: {tensor}")]
    Unsupported {
        /// The tensor.
        tensor: String,
        /// Why it cannot be used.
        reason: String,
    },

    /// A key that may change what the model computes.
    #[error(
        "the config has a key that is not understood: {reason}\n  key: {key}\n  found: {found}\n  hint: if you know that \
         it changes nothing for plain text, --ignore-config-key {key}"
    )]
    UnknownKey {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// Why it matters.
        reason: String,
    },

    /// A value of the config with which the model cannot be run.
    #[error(
        "the config has a value that the model cannot be run with\n  key: {key}\n  expected: {expected}\n  found: \
         {found}\n  hint: compare with the config.json, or the GGUF, that the model was published with"
    )]
    Setting {
        /// The key.
        key: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },

    /// A tensor that the forward pass needs is not there.
    #[error(
        "{what} is missing\n  expected: {expected}\n  found: no such tensor\n  hint: a file of a sharded checkpoint may be \
         missing, or the config is of another model"
    )]
    MissingTensor {
        /// What it is for.
        what: String,
        /// Names that were tried.
        expected: String,
    },

    /// The checkpoint can be looked at but not run.
    #[error(
        "the model cannot be run: {reason}\n  expected: a config.json or GGUF metadata of a known family, and a model with \
         a language head\n  hint: metrics of weights alone need no forward pass"
    )]
    NotRunnable {
        /// Why.
        reason: String,
    },

    /// A key of an adapter's configuration that is not understood, or with a value that makes no sense.
    #[error("the adapter cannot be understood\n  key: {key}\n  expected: {expected}\n  found: {found}\n  hint: {hint}")]
    AdapterKey {
        /// The key.
        key: String,
        /// What it should be.
        expected: String,
        /// What it is, and what that would change.
        found: String,
        /// What the user can do about it.
        hint: String,
    },

    /// A tensor of an adapter that cannot be used.
    #[error("{what}\n  tensor: {tensor}\n  expected: {expected}\n  found: {found}\n  hint: {hint}")]
    Adapter {
        /// What failed.
        what: Box<str>,
        /// The tensor.
        tensor: String,
        /// What should have been there.
        expected: String,
        /// What was there.
        found: String,
        /// What the user can do about it.
        hint: Box<str>,
    },

    /// A `--cell` cannot be used.
    #[error("--cell {text}: {reason}")]
    Override {
        /// What was asked for.
        text: String,
        /// Why it cannot be done.
        reason: String,
    },
}

/// Text from a file, quoted, escaped and cut: fit for a terminal.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
