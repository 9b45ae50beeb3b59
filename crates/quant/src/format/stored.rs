use tomo_blocks::{BlockError, BlockType, Dispatch};

use crate::engine::Simulate;
use crate::lanes::LANES;
use crate::matrix::{Matrix, ShapeError};

/// A type of GGUF by its codec: every row is encoded, without importances, and decoded again. A row that cannot be
/// (NaN, an infinity, a scale that overflows) is NaN as a whole.
impl Simulate for BlockType {
    fn error2(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> f64 {
        let mut sums = [0.0; LANES];
        each_row(self, matrix, dispatch, |row, rounded| {
            for (i, (w, q)) in row.iter().zip(rounded).enumerate() {
                sums[i % LANES] += square_of_difference(*w, *q);
            }
        });
        sums.iter().sum()
    }

    fn column_error2(&self, matrix: &Matrix<'_>, sums: &mut [f64], dispatch: Dispatch) {
        each_row(self, matrix, dispatch, |row, rounded| {
            for ((sum, w), q) in sums.iter_mut().zip(row).zip(rounded) {
                *sum += square_of_difference(*w, *q);
            }
        });
    }

    fn roundtrip(&self, matrix: &Matrix<'_>, out: &mut [f32], dispatch: Dispatch) {
        let mut out = out.chunks_exact_mut(matrix.cols());
        each_row(self, matrix, dispatch, |_, rounded| {
            if let Some(out) = out.next() {
                out.copy_from_slice(rounded);
            }
        });
    }

    fn bits_per_weight(&self, _cols: usize, _group: usize) -> f64 {
        BlockType::bits_per_weight(self)
    }

    fn check(&self, cols: usize) -> Result<(), ShapeError> {
        match self.row_bytes(cols) {
            Err(BlockError::Columns { id, columns, elements, fallback }) => {
                Err(ShapeError::Blocks { id, cols: columns, elements, fallback })
            }
            _ => Ok(()),
        }
    }
}

/// In f64: with a minimum, what a weight became can be further from it than a factor of two, and the difference in f32 inexact.
fn square_of_difference(w: f32, q: f32) -> f64 {
    let error = f64::from(w) - f64::from(q);
    error * error
}

/// Calls `use_row` with every row and what becomes of it.
fn each_row(block: &BlockType, matrix: &Matrix<'_>, dispatch: Dispatch, mut use_row: impl FnMut(&[f32], &[f32])) {
    if matrix.values().is_empty() {
        return;
    }
    let cols = matrix.cols();
    let mut bytes = vec![0; cols / block.elements * block.bytes];
    let mut rounded = vec![0.0; cols];
    for row in matrix.values().chunks_exact(cols) {
        let encoded = block.encode_row_with(row, None, &mut bytes, dispatch);
        if encoded.and_then(|()| block.decode_row(&bytes, &mut rounded)).is_err() {
            rounded.fill(f32::NAN);
        }
        use_row(row, &rounded);
    }
}
