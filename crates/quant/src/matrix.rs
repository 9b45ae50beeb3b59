/// A row-major matrix `out x in`, and how grouped formats shall cut its rows.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    cols: usize,
    group: usize,
}

/// Why a matrix, a group size or an output does not fit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShapeError {
    /// The number of values is no multiple of the number of columns (which is at least 1).
    #[error("matrix has {len} values, expected a multiple of its {cols} columns")]
    Ragged {
        /// Values given.
        len: usize,
        /// Columns given.
        cols: usize,
    },
    /// The group size is 0.
    #[error("group size is 0, expected at least 1")]
    EmptyGroup,
    /// Rows do not consist of whole blocks of a type that is stored in such only.
    #[error(
        "rows of {cols} weights cannot be stored as {id}, expected a multiple of {elements}; llama.cpp would store them as {fallback}"
    )]
    Blocks {
        /// The format.
        id: &'static str,
        /// Columns of the matrix.
        cols: usize,
        /// Weights of a block.
        elements: usize,
        /// What llama-quantize takes instead.
        fallback: &'static str,
    },
    /// The output's length is not the matrix's.
    #[error("output has {found} places, expected {expected}, one per weight")]
    Output {
        /// Values of the matrix.
        expected: usize,
        /// Places in the output.
        found: usize,
    },
}

impl<'a> Matrix<'a> {
    /// A matrix of `values.len() / cols` rows; formats with a free group size use `group` weights along a row, and
    /// the last group of a row may be short.
    ///
    /// # Errors
    /// [`ShapeError`] when `cols` or `group` is 0 or `cols` does not divide the number of values.
    pub fn new(values: &'a [f32], cols: usize, group: usize) -> Result<Self, ShapeError> {
        if cols == 0 || !values.len().is_multiple_of(cols) {
            return Err(ShapeError::Ragged { len: values.len(), cols });
        }
        if group == 0 {
            return Err(ShapeError::EmptyGroup);
        }
        Ok(Self { values, cols, group })
    }

    /// The entries, row-major.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Input features n.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Group size of formats that leave it open.
    pub fn group(&self) -> usize {
        self.group
    }
}
