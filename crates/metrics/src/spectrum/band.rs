//! Large symmetric matrices to tridiagonal form in two stages: full to band, band to tridiagonal.
//!
//! The one-stage reduction reads the whole matrix once per column, which is bound by memory as soon as the matrix leaves
//! the cache (15 s at order 4096). Here 32 columns at a time are brought to band form with matrix products, and the
//! band is chased to tridiagonal form in a strip that fits the cache (Bischof, Lang and Sun 2000; the scheme of PLASMA's
//! two-stage eigensolver).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::bulge::{self, WIDTH};

/// Columns of the trailing matrix that are updated together. Blocks on the diagonal are kept whole, both halves.
const BLOCK: usize = 128;

/// Bytes the reduction of a matrix of this order takes beside the matrix.
pub(super) fn extra_bytes(order: usize) -> u64 {
    let panel_like = 5 * WIDTH * order;
    8 * (panel_like + bulge::strip_len(order)) as u64
}

/// Diagonal and sub-diagonal of the tridiagonal form of the symmetric matrix in the lower half of `gram`, column-major,
/// which is used up.
pub(super) fn tridiagonalise(gram: &mut [f64], order: usize, par: Par) -> (Vec<f64>, Vec<f64>) {
    let mut matrix = MatMut::from_column_major_slice_mut(gram, order, order);
    for start in (0..order).step_by(BLOCK) {
        let end = (start + BLOCK).min(order);
        for j in start..end {
            for i in j + 1..end {
                matrix[(j, i)] = matrix[(i, j)];
            }
        }
    }
    for first in (0..order.saturating_sub(WIDTH + 1)).step_by(WIDTH) {
        eliminate_panel(matrix.as_mut(), first, par);
    }
    let mut strip = bulge::Strip::new(order);
    for j in 0..order {
        for i in j..(j + WIDTH + 1).min(order) {
            strip.set(i, j, matrix[(i, j)]);
        }
    }
    strip.tridiagonalise()
}

/// Clears what is below the band in columns `first..first + WIDTH` and applies the same reflections to the rest, from
/// both sides: `A - V W^T - W V^T` with `W = X - V (S^T V^T X) / 2`, `X = A V S`, for the block reflection `I - V S V^T`.
fn eliminate_panel(mut matrix: MatMut<'_, f64>, first: usize, par: Par) {
    let top = first + WIDTH;
    let rows = matrix.nrows() - top;
    let count = rows.min(WIDTH);
    let mut panel = matrix.as_mut().submatrix_mut(top, first, rows, WIDTH);
    // `triangle` is the inverse of S.
    let mut triangle = Mat::<f64>::zeros(count, count);
    let mut memory = MemBuffer::new(qr_in_place_scratch::<f64>(rows, WIDTH, count, par, Default::default()));
    qr_in_place(panel.as_mut(), triangle.as_mut(), par, MemStack::new(&mut memory), Default::default());
    let reflectors = Mat::from_fn(rows, count, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 1.0,
        std::cmp::Ordering::Greater => panel[(i, j)],
    });
    for j in 0..WIDTH {
        for i in j + 1..rows {
            panel[(i, j)] = 0.0;
        }
    }
    let v = reflectors.as_ref();
    let mut x = times_symmetric(matrix.as_ref(), top, v, par);
    solve_lower_triangular_in_place(triangle.transpose(), x.as_mut().transpose_mut(), par);
    let mut half = Mat::<f64>::zeros(count, count);
    matmul(&mut half, Accum::Replace, v.transpose(), &x, 0.5, par);
    solve_lower_triangular_in_place(triangle.transpose(), half.as_mut(), par);
    matmul(&mut x, Accum::Add, v, &half, -1.0, par);
    subtract_products(matrix, top, v, x.as_ref(), par);
}

/// Block columns of the trailing matrix that starts at `top`: from, to, aligned to the blocks kept whole.
fn blocks(top: usize, order: usize) -> impl Iterator<Item = (usize, usize)> {
    let first = top / BLOCK;
    (first..order.div_ceil(BLOCK)).map(move |b| ((b * BLOCK).max(top), ((b + 1) * BLOCK).min(order)))
}

/// `A V` for the trailing part of the symmetric matrix, of which only block columns down from the diagonal are stored.
fn times_symmetric(matrix: MatRef<'_, f64>, top: usize, v: MatRef<'_, f64>, par: Par) -> Mat<f64> {
    let order = matrix.nrows();
    let mut product = Mat::<f64>::zeros(v.nrows(), v.ncols());
    for (from, to) in blocks(top, order) {
        let width = to - from;
        let column = matrix.submatrix(from, from, order - from, width);
        let mine = v.subrows(from - top, width);
        matmul(product.as_mut().subrows_mut(from - top, order - from), Accum::Add, column, mine, 1.0, par);
        if to < order {
            let below = matrix.submatrix(to, from, order - to, width);
            let others = v.subrows(to - top, order - to);
            matmul(product.as_mut().subrows_mut(from - top, width), Accum::Add, below.transpose(), others, 1.0, par);
        }
    }
    product
}

/// `A -= V W^T + W V^T` on the trailing part.
fn subtract_products(mut matrix: MatMut<'_, f64>, top: usize, v: MatRef<'_, f64>, w: MatRef<'_, f64>, par: Par) {
    let (order, count) = (matrix.nrows(), v.ncols());
    let side_by_side = |a: MatRef<'_, f64>, b: MatRef<'_, f64>| {
        let mut both = Mat::<f64>::zeros(a.nrows(), 2 * count);
        both.as_mut().subcols_mut(0, count).copy_from(a);
        both.as_mut().subcols_mut(count, count).copy_from(b);
        both
    };
    let (left, right) = (side_by_side(v, w), side_by_side(w, v));
    for (from, to) in blocks(top, order) {
        let target = matrix.as_mut().submatrix_mut(from, from, order - from, to - from);
        let rows = left.as_ref().subrows(from - top, order - from);
        let cols = right.as_ref().subrows(from - top, to - from);
        matmul(target, Accum::Add, rows, cols.transpose(), -1.0, par);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::{tridiagonal, tridiagonalise as one_stage};

    #[test]
    fn two_stages_keep_the_eigenvalues_of_one() {
        for order in [34_usize, 64, 65, 131, 300] {
            let mut state = 7_u32;
            let mut gram = vec![0.0; order * order];
            for j in 0..order {
                for i in j..order {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    gram[j * order + i] = f64::from(state) / f64::from(u32::MAX) - 0.5;
                }
            }
            let sorted = |(mut diagonal, mut off): (Vec<f64>, Vec<f64>)| {
                assert_eq!((diagonal.len(), off.len()), (order, order - 1));
                tridiagonal::eigenvalues(&mut diagonal, &mut off).unwrap();
                diagonal.sort_unstable_by(f64::total_cmp);
                diagonal
            };
            let expected = sorted(one_stage(&mut gram.clone(), order, Par::Seq));
            let actual = sorted(tridiagonalise(&mut gram, order, Par::Seq));
            let norm = expected.iter().fold(0.0_f64, |top, x| top.max(x.abs()));
            for (a, b) in actual.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-13 * norm, "{order}: {a} {b}");
            }
        }
    }
}
