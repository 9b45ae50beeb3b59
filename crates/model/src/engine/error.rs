use tomo_map::CellId;

use crate::ModelError;
use crate::error::quoted;

/// Why a model could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The checkpoint or its config.
    #[error(transparent)]
    Model(#[from] ModelError),

    /// A weight that is NaN or infinite: whatever is computed with it means nothing.
    #[error(
        "a weight is not finite\n  tensor: {tensor}\n  place: {place}\n  found: {value}\n  hint: the checkpoint is \
         damaged; fetch or convert it again"
    )]
    NotFinite {
        /// The tensor, quoted.
        tensor: String,
        /// Row and column, and of which cell.
        place: String,
        /// What is there.
        value: f32,
    },

    /// A tensor that the arithmetic needs has the wrong size.
    #[error("{what} has the wrong size\n  tensor: {tensor}\n  expected: {expected}\n  found: {found}")]
    Size {
        /// What it is for.
        what: String,
        /// The tensor, quoted.
        tensor: String,
        /// Entries that follow from the config.
        expected: String,
        /// Entries in the file.
        found: String,
    },

    /// The model has no cell that its arithmetic needs.
    #[error("{cell} is needed to run the model and is not in the checkpoint")]
    MissingCell {
        /// Which cell.
        cell: CellId,
    },

    /// A token id beyond the embedding.
    #[error(
        "token {token} is not in the model's vocabulary\n  where: sequence {sequence}, position {position}\n  \
         expected: ids below {vocab}\n  hint: the text was tokenized for another model"
    )]
    Token {
        /// The id.
        token: u32,
        /// Which sequence.
        sequence: usize,
        /// Where in it.
        position: usize,
        /// V.
        vocab: usize,
    },

    /// There is nothing to run.
    #[error("sequence {sequence} is too short: {length} tokens, expected 2 or more")]
    Short {
        /// Which sequence.
        sequence: usize,
        /// Its tokens.
        length: usize,
    },

    /// Longer than the model has positions for.
    #[error(
        "sequence {sequence} has {length} tokens, and the model has positions for {positions}\n  hint: --sequence \
         {positions}"
    )]
    Long {
        /// Which sequence.
        sequence: usize,
        /// Its tokens.
        length: usize,
        /// Learned positions.
        positions: usize,
    },

    /// Not even one block at a time fits.
    #[error(
        "the pass needs more memory than it may take\n  expected: at most {}\n  found: {}, with weights streamed \
         block by block\n  hint: {hint}", megabytes(*budget), megabytes(*needed)
    )]
    Memory {
        /// Bytes allowed.
        budget: u64,
        /// Bytes needed.
        needed: u64,
        /// The smallest budget or number of tokens that works.
        hint: String,
    },

    /// The arithmetic left the range of f32.
    #[error(
        "the loss of a token is not finite\n  where: sequence {sequence}, position {position}\n  found: {value}\n  \
         hint: the weights overflow f32, or the config does not fit them"
    )]
    Overflow {
        /// Which sequence.
        sequence: usize,
        /// Position of the token that was to be predicted.
        position: usize,
        /// The loss.
        value: f64,
    },

    /// An objective that does not fit the sequences it is asked of.
    #[error(
        "objective {objective} does not fit sequence {sequence}\n  expected: positions ascending from 1 to T - 1; a label \
         of the vocabulary for each; reference states of T x D values; one objective at least"
    )]
    Objective {
        /// Which objective.
        objective: usize,
        /// Which sequence.
        sequence: usize,
    },

    /// Block inputs could not be written, or read again.
    #[error(
        "cannot {what}\n  found: {source}\n  hint: TMPDIR names the folder of scratch files; it needs room for them"
    )]
    Scratch {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },

    /// The folder that a pass is to be resumed from cannot be used.
    #[error("cannot keep a pass to be resumed\n  folder: {folder}\n  found: {source}")]
    Folder {
        /// The folder, quoted.
        folder: String,
        /// What the system said.
        source: std::io::Error,
    },

    /// What an observer saved is not what it can go on from.
    #[error("what a pass left to be resumed cannot be read: {reason}")]
    Saved {
        /// Why.
        reason: String,
    },

    /// A variant of the model that cannot be run.
    #[error("variant {variant} of the model cannot be run\n  cell: {cell}\n  found: {reason}")]
    Variant {
        /// Which variant.
        variant: usize,
        /// Where it differs.
        cell: String,
        /// What is wrong.
        reason: String,
    },

    /// A round that names what is not there.
    #[error("a round needs ascending numbers of {what} below {count}\n  found: {found:?}")]
    Round {
        /// Sequences or variants.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The round's.
        found: Vec<usize>,
    },

    /// A cell's weights cannot be replaced.
    #[error("the weights of {cell} cannot be replaced: {reason}")]
    Rewrite {
        /// Which cell.
        cell: String,
        /// Why.
        reason: String,
    },

    /// The system refused worker threads.
    #[error("cannot start {threads} worker threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
}

impl EngineError {
    pub(crate) fn scratch(what: &str, source: std::io::Error) -> Self {
        Self::Scratch { what: what.to_owned(), source }
    }

    pub(crate) fn folder(folder: &std::path::Path, source: std::io::Error) -> Self {
        Self::Folder { folder: quoted(&folder.display().to_string()), source }
    }

    /// Block inputs that were never stored.
    pub(crate) fn lost() -> Self {
        Self::scratch("read block inputs", std::io::ErrorKind::NotFound.into())
    }
}

impl From<tomo_checkpoint::Error> for EngineError {
    fn from(error: tomo_checkpoint::Error) -> Self {
        Self::Model(error.into())
    }
}

/// Decimal megabytes, as the command line prints them.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
