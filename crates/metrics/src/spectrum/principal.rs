//! The strongest singular directions of one matrix, without the others.
//!
//! The k first eigenvectors of the Gram matrix G of the smaller side, by subspace iteration with Chebyshev filters (Zhou,
//! Saad, Tiago and Chelikowsky 2006): a block of b > k vectors is multiplied by a polynomial of G that is small on what the
//! block's own estimates say is unwanted, made orthonormal, and turned to the eigenvectors of G within its span. The directions of
//! the other side follow from one product with W. Small matrices are decomposed whole.
//!
//! # Accuracy
//! The iteration ends when the part of `G V` outside V is below 1e-9 of the gap between the k-th and the next eigenvalue, so
//! the subspace is off by no more than that angle (and by eps * lambda_1 / gap, as any decomposition is). A gap below 1e-7 of
//! lambda_k determines no subspace: the result says so.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::Matrix;

/// Up to this order, or where the block would be a third of it, all eigenvectors are computed.
const WHOLE_UP_TO: usize = 160;

/// Degree of one filter.
const DEGREE: usize = 12;

/// Filters at most; what has not settled by then lies too close together.
const MOST_FILTERS: usize = 40;

/// The k strongest singular directions of a matrix.
pub(crate) struct Directions {
    /// Left singular vectors, `[m, k]`.
    pub(crate) left: Mat<f64>,
    /// Right singular vectors, `[n, k]`.
    pub(crate) right: Mat<f64>,
    /// Whether the k-th singular value is apart from the next, so that the subspace is determined.
    pub(crate) is_sharp: bool,
}

/// The `k` strongest directions of `matrix`, whose Gram matrix of the smaller side is in the lower half of `gram`
/// (column-major; the upper half is filled). `None` where fewer than k singular values differ from 0, or `k` is not below the
/// smaller side.
pub(crate) fn directions(matrix: Matrix<'_>, gram: &mut [f64], k: usize, par: Par) -> Option<Directions> {
    let order = matrix.rows.min(matrix.cols);
    if k == 0 || k >= order {
        return None;
    }
    let mut gram = MatMut::from_column_major_slice_mut(gram, order, order);
    for column in 1..order {
        for row in 0..column {
            gram[(row, column)] = gram[(column, row)];
        }
    }
    let block = (2 * k).max(k + 16);
    let found = if order <= WHOLE_UP_TO || 3 * block >= order {
        eigenvectors(gram.as_ref())?
    } else {
        filtered(gram.as_ref(), k, block, par)?
    };
    let floor = found.values[0] * matrix.rows.max(matrix.cols) as f64 * f64::EPSILON;
    let (last, next) = (found.values[k - 1], found.values[k]);
    // NaN is no direction either.
    if last.is_nan() || last <= floor {
        return None;
    }
    let near = found.vectors.subcols(0, k).to_owned();
    let far = far_side(matrix, &near, &found.values[..k], par);
    let (left, right) = if matrix.rows >= matrix.cols { (far, near) } else { (near, far) };
    Some(Directions { left, right, is_sharp: last - next > 1e-7 * last })
}

/// Eigenvectors in columns, the largest eigenvalue first.
struct Eigen {
    values: Vec<f64>,
    vectors: Mat<f64>,
}

/// All eigenvectors of a small symmetric matrix.
fn eigenvectors(matrix: MatRef<'_, f64>) -> Option<Eigen> {
    let order = matrix.nrows();
    let mut values = Diag::zeros(order);
    let mut vectors = Mat::zeros(order, order);
    let scratch = self_adjoint_evd_scratch::<f64>(order, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(matrix, values.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, Default::default()).ok()?;
    let values = (0..order).rev().map(|i| values.column_vector()[i]).collect();
    Some(Eigen { values, vectors: Mat::from_fn(order, order, |i, j| vectors[(i, order - 1 - j)]) })
}

/// The `block` first eigenvectors of `gram`, of which the first k have settled.
fn filtered(gram: MatRef<'_, f64>, k: usize, block: usize, par: Par) -> Option<Eigen> {
    let order = gram.nrows();
    // Fixed: the result does not depend on it, but its last bits do.
    let mut rng = ChaCha12Rng::seed_from_u64(0);
    let mut basis = Mat::from_fn(order, block, |_, _| rng.random_range(-1.0..1.0));
    orthonormalise(&mut basis);
    let mut product = Mat::zeros(order, block);
    let mut values = Vec::new();
    for _ in 0..MOST_FILTERS {
        multiply(product.as_mut(), gram, basis.as_ref(), par);
        let mut projected = Mat::zeros(block, block);
        multiply(projected.as_mut(), basis.transpose(), product.as_ref(), par);
        let turned = eigenvectors(projected.as_ref())?;
        values = turned.values;
        basis = times(&basis, &turned.vectors, par);
        product = times(&product, &turned.vectors, par);
        let outside2: f64 = (0..k)
            .map(|j| (0..order).map(|i| (product[(i, j)] - values[j] * basis[(i, j)]).powi(2)).sum::<f64>())
            .sum();
        let gap = (values[k - 1] - values[k]).max(1e-7 * values[k - 1]);
        // Below the rounding of the products nothing settles further.
        if outside2.sqrt() <= (1e-9 * gap).max(1e-14 * values[0]) || values[0] == 0.0 {
            break;
        }
        filter(&mut basis, gram, &values, par);
        orthonormalise(&mut basis);
    }
    Some(Eigen { values, vectors: basis })
}

/// Multiplies `basis` by a Chebyshev polynomial of `gram` that stays within 1 on the eigenvalues below the block's last and
/// grows above, scaled to 1 at the largest.
fn filter(basis: &mut Mat<f64>, gram: MatRef<'_, f64>, values: &[f64], par: Par) {
    let top = values[0];
    let half = 0.5 * values[values.len() - 1].max(1e-10 * top);
    let first = half / (top - half);
    let mut sigma = first;
    let mut before = basis.clone();
    let mut product = Mat::zeros(basis.nrows(), basis.ncols());
    for step in 0..DEGREE {
        multiply(product.as_mut(), gram, basis.as_ref(), par);
        let next = if step == 0 { sigma } else { 1.0 / (2.0 / first - sigma) };
        let (gain, memory) = if step == 0 { (next / half, 0.0) } else { (2.0 * next / half, sigma * next) };
        for j in 0..basis.ncols() {
            for i in 0..basis.nrows() {
                let value = gain * (product[(i, j)] - half * basis[(i, j)]) - memory * before[(i, j)];
                before[(i, j)] = basis[(i, j)];
                basis[(i, j)] = value;
            }
        }
        sigma = next;
    }
}

/// Gram-Schmidt, each column twice against all before it.
fn orthonormalise(basis: &mut Mat<f64>) {
    for j in 0..basis.ncols() {
        for _ in 0..2 {
            for earlier in 0..j {
                let (left, mut right) = basis.as_mut().split_at_col_mut(j);
                let (other, mut column) = (left.col(earlier), right.as_mut().col_mut(0));
                let shared: f64 = (0..other.nrows()).map(|i| other[i] * column[i]).sum();
                (0..other.nrows()).for_each(|i| column[i] -= shared * other[i]);
            }
            let mut column = basis.as_mut().col_mut(j);
            let norm = (0..column.nrows()).map(|i| column[i] * column[i]).sum::<f64>().sqrt();
            if norm > 0.0 {
                (0..column.nrows()).for_each(|i| column[i] /= norm);
            }
        }
    }
}

/// Singular vectors of the larger side from those of the smaller one: `W v / sigma`, or `W^T u / sigma`.
fn far_side(matrix: Matrix<'_>, near: &Mat<f64>, eigenvalues: &[f64], par: Par) -> Mat<f64> {
    let mut far = if matrix.rows >= matrix.cols {
        product_of(matrix, near.as_ref(), par)
    } else {
        transposed_product_of(matrix, near.as_ref(), par)
    };
    for (j, value) in eigenvalues.iter().enumerate() {
        let sigma = value.sqrt();
        (0..far.nrows()).for_each(|i| far[(i, j)] /= sigma);
    }
    far
}

/// Rows of a matrix that are widened to f64 together.
const STRIP: usize = 256;

/// `W X`, `[m, k]`, for X `[n, k]`.
pub(crate) fn product_of(matrix: Matrix<'_>, x: MatRef<'_, f64>, par: Par) -> Mat<f64> {
    let mut out = Mat::zeros(matrix.rows, x.ncols());
    for_each_strip(matrix, |first, strip| {
        let rows = out.as_mut().subrows_mut(first, strip.nrows());
        matmul(rows, Accum::Replace, strip, x, 1.0, par);
    });
    out
}

/// `W^T X`, `[n, k]`, for X `[m, k]`.
pub(crate) fn transposed_product_of(matrix: Matrix<'_>, x: MatRef<'_, f64>, par: Par) -> Mat<f64> {
    let mut out = Mat::zeros(matrix.cols, x.ncols());
    for_each_strip(matrix, |first, strip| {
        matmul(out.as_mut(), Accum::Add, strip.transpose(), x.subrows(first, strip.nrows()), 1.0, par);
    });
    out
}

/// `||A^T B||_F^2` of two matrices of one height.
pub(crate) fn shared_energy(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    let mut product = Mat::zeros(a.ncols(), b.ncols());
    multiply(product.as_mut(), a.transpose(), b, Par::Seq);
    (0..product.ncols()).map(|j| (0..product.nrows()).map(|i| product[(i, j)].powi(2)).sum::<f64>()).sum()
}

fn for_each_strip(matrix: Matrix<'_>, mut work: impl FnMut(usize, MatRef<'_, f64>)) {
    let mut wide = Vec::with_capacity(STRIP * matrix.cols);
    for (number, rows) in matrix.values.chunks(STRIP * matrix.cols.max(1)).enumerate() {
        wide.clear();
        wide.extend(rows.iter().map(|x| f64::from(*x)));
        work(number * STRIP, MatRef::from_row_major_slice(&wide, wide.len() / matrix.cols, matrix.cols));
    }
}

fn times(a: &Mat<f64>, b: &Mat<f64>, par: Par) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    multiply(out.as_mut(), a.as_ref(), b.as_ref(), par);
    out
}

fn multiply(out: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>, par: Par) {
    matmul(out, Accum::Replace, a, b, 1.0, par);
}
