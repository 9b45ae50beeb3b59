use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

use crate::Matrix;

/// Bytes of f64 a block may take: enough for the product to run at full speed, little beside the Gram matrix.
const BLOCK_BYTES: usize = 16 << 20;

/// How far along the long side one block reaches, for a Gram matrix of order `rank`.
pub(super) fn block_depth(rank: usize) -> usize {
    (BLOCK_BYTES / 8 / rank.max(1)).clamp(256, 4096)
}

/// Writes the lower half of `W^T W` (`rows >= cols`) or `W W^T` into `gram`, column-major, `gram` being zero before.
/// W is converted to f64 block by block along its long side.
pub(super) fn accumulate(matrix: Matrix<'_>, gram: &mut [f64], block: &mut Vec<f64>, par: Par) {
    let (rows, cols, values) = (matrix.rows, matrix.cols, matrix.values);
    let (rank, long) = (rows.min(cols), rows.max(cols));
    if rank == 0 {
        return;
    }
    let depth = block_depth(rank).min(long);
    block.resize(rank * depth, 0.0);
    for start in (0..long).step_by(depth) {
        let width = depth.min(long - start);
        let block = &mut block[..rank * width];
        let factor = if rows >= cols {
            // Rows of W are the columns of the block.
            widen(block, &values[start * cols..(start + width) * cols]);
            MatRef::from_column_major_slice(block, rank, width)
        } else {
            for (to, row) in block.chunks_exact_mut(width).zip(values.chunks_exact(cols)) {
                widen(to, &row[start..start + width]);
            }
            MatRef::from_row_major_slice(block, rank, width)
        };
        add_product(gram, factor, par);
    }
}

fn widen(to: &mut [f64], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f64::from(*from);
    }
}

/// `gram += A A^T`, lower half.
fn add_product(gram: &mut [f64], a: MatRef<'_, f64>, par: Par) {
    let order = a.nrows();
    triangular::matmul(
        MatMut::from_column_major_slice_mut(gram, order, order),
        BlockStructure::TriangularLower,
        Accum::Add,
        a,
        BlockStructure::Rectangular,
        a.transpose(),
        BlockStructure::Rectangular,
        1.0,
        par,
    );
}
