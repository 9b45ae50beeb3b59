/// Why a row was not encoded or decoded.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum BlockError {
    /// The row does not consist of whole blocks.
    #[error(
        "a row of {columns} weights cannot be stored as {id}, expected a multiple of {elements}; llama.cpp would store it as {fallback}"
    )]
    Columns {
        /// The type.
        id: &'static str,
        /// Weights of the row.
        columns: usize,
        /// Weights of a block.
        elements: usize,
        /// What [`crate::BlockType::fallback`] says.
        fallback: &'static str,
    },
    /// The bytes are not those of the row.
    #[error("a row of {columns} weights takes {expected} bytes as {id}, found {found}")]
    Bytes {
        /// The type.
        id: &'static str,
        /// Weights of the row.
        columns: usize,
        /// Bytes that they take.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Not one importance per column.
    #[error("{found} importances for a row of {columns} weights, expected one each")]
    Importances {
        /// Weights of the row.
        columns: usize,
        /// Importances given.
        found: usize,
    },
    /// An importance is negative, beyond 1e15 or no number.
    #[error("importance of column {column} is {value}, expected a number from 0 to 1e15")]
    Importance {
        /// Where.
        column: usize,
        /// What.
        value: f32,
    },
    /// A weight is NaN or infinite.
    #[error("weight of column {column} is {value}, expected a finite number")]
    Weight {
        /// Where.
        column: usize,
        /// What.
        value: f32,
    },
    /// The type has no scale, or no number, for the weights of a block.
    #[error("weights from column {column} on are beyond what {id} can hold")]
    Range {
        /// The type.
        id: &'static str,
        /// First weight of the block.
        column: usize,
    },
}
