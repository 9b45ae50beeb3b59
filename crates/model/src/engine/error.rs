use tomo_map::CellId;

use crate::ModelError;

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

    /// The system refused worker threads.
    #[error("cannot start {threads} worker threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
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
