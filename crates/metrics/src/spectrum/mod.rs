//! Singular values of one matrix: Gram matrix of its smaller side, reduction to tridiagonal form, eigenvalues.
//!
//! Vectors are never formed. With r = min(m, n), the work is `m n r` flops for the Gram matrix (a symmetric product in
//! f64, streamed over blocks, so that no f64 copy of W exists), `4/3 r^3` for the reduction and `O(r^2)` for the rest.
//!
//! # Accuracy
//! Squaring loses half of the digits at the small end and nothing at the large one: eigenvalues of the Gram matrix carry
//! an absolute error of a few `eps * sigma_1^2`, so sigma_i carries a relative error of about
//! `eps * (sigma_1 / sigma_i)^2`, that is 1e-12 at `sigma_1 / 100` and 1e-6 at `sigma_1 / 1e5`. Values below
//! `sigma_1 * sqrt(max(m, n) * eps)` (4e-7 `sigma_1` for 576 x 576) are beyond what the Gram matrix can tell from 0 and
//! are returned as exact zeros. An SVD of W itself would keep them; nothing in the catalogue can see the difference:
//! a share of 1e-7 moves an effective rank by less than 1e-5, and power laws are fitted far above.

mod band;
mod bulge;
mod gram;
mod principal;
mod tridiagonal;

use faer::Par;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
use faer::{Mat, MatMut};

use crate::Matrix;
pub(crate) use principal::{Directions, directions, product_of, shared_energy};
pub(crate) use tridiagonal::eigenvalues;

/// Order from which the reduction goes through a band: below, the matrix stays in the cache of one core, where the one-stage
/// reduction is as fast.
const BAND_FROM: usize = 1024;

/// Buffers of one worker, grown to the largest matrix it has seen and used again for the next.
#[derive(Default)]
pub struct Workspace {
    gram: Vec<f64>,
    block: Vec<f64>,
    entries: Vec<f32>,
}

impl Workspace {
    /// A buffer for some of a matrix's entries.
    pub(crate) fn entries(&mut self) -> &mut Vec<f32> {
        &mut self.entries
    }

    /// Bytes it will hold for a matrix of this shape.
    pub fn bytes(rows: usize, cols: usize) -> u64 {
        let (rank, long) = (rows.min(cols) as u64, rows.max(cols) as u64);
        let block = rank * long.min(gram::block_depth(rank as usize) as u64);
        let band = if rank >= BAND_FROM as u64 { band::extra_bytes(rank as usize) } else { 0 };
        8 * (rank * rank + block) + band
    }
}

/// Singular values of `matrix`, descending; `min(rows, cols)` of them, or none when the iteration did not converge
/// (which takes entries that are not finite). `threads` is how many the call may use inside.
pub(crate) fn singular_values(matrix: Matrix<'_>, workspace: &mut Workspace, threads: usize) -> Vec<f64> {
    let par = par_of(threads);
    gram_only(matrix, workspace, par);
    singular_values_of_gram(matrix, workspace, par)
}

/// What [`decompose`] finds.
pub(crate) struct Decomposed {
    /// As [`singular_values`] has them; empty where they were not asked for.
    pub(crate) values: Vec<f64>,
    /// The strongest directions, where they were asked for and there are that many.
    pub(crate) directions: Option<Directions>,
}

/// Singular values, if `values`, and the `k` strongest directions, from one Gram matrix.
pub(crate) fn decompose(
    matrix: Matrix<'_>,
    workspace: &mut Workspace,
    threads: usize,
    values: bool,
    k: Option<usize>,
) -> Decomposed {
    let par = par_of(threads);
    gram_only(matrix, workspace, par);
    let directions = k.and_then(|k| directions(matrix, &mut workspace.gram, k, par));
    let values = if values { singular_values_of_gram(matrix, workspace, par) } else { Vec::new() };
    Decomposed { values, directions }
}

fn par_of(threads: usize) -> Par {
    if threads > 1 { Par::rayon(threads) } else { Par::Seq }
}

/// Uses up the Gram matrix in `workspace`.
fn singular_values_of_gram(matrix: Matrix<'_>, workspace: &mut Workspace, par: Par) -> Vec<f64> {
    let rank = matrix.rows.min(matrix.cols);
    let gram = &mut workspace.gram;
    let reduce = if rank >= BAND_FROM { band::tridiagonalise } else { tridiagonalise };
    let (mut diagonal, mut off_diagonal) = reduce(gram, rank, par);
    if eigenvalues(&mut diagonal, &mut off_diagonal).is_none() {
        return Vec::new();
    }
    singular_from_eigenvalues(diagonal, matrix.rows.max(matrix.cols))
}

/// Leaves the lower half of the Gram matrix of the smaller side in `workspace`.
pub(crate) fn gram_only(matrix: Matrix<'_>, workspace: &mut Workspace, par: Par) {
    let rank = matrix.rows.min(matrix.cols);
    let Workspace { gram, block, .. } = workspace;
    gram.clear();
    gram.resize(rank * rank, 0.0);
    gram::accumulate(matrix, gram, block, par);
}

/// Square roots, descending; what the Gram matrix of a side `long` cannot tell from zero becomes zero.
pub(crate) fn singular_from_eigenvalues(mut eigenvalues: Vec<f64>, long: usize) -> Vec<f64> {
    eigenvalues.sort_unstable_by(|a, b| b.total_cmp(a));
    let floor = eigenvalues.first().map_or(0.0, |top| top * long as f64 * f64::EPSILON);
    eigenvalues.iter().map(|&value| if value > floor { value.sqrt() } else { 0.0 }).collect()
}

/// Diagonal and sub-diagonal of the tridiagonal form of the symmetric matrix in the lower half of `gram`.
fn tridiagonalise(gram: &mut [f64], order: usize, par: Par) -> (Vec<f64>, Vec<f64>) {
    let mut matrix = MatMut::from_column_major_slice_mut(gram, order, order);
    if order > 1 {
        let mut householder = Mat::<f64>::zeros(1, order - 1);
        let mut memory = MemBuffer::new(tridiag_in_place_scratch::<f64>(order, par, Default::default()));
        let stack = MemStack::new(&mut memory);
        tridiag_in_place(matrix.as_mut(), householder.as_mut(), par, stack, Default::default());
    }
    let diagonal = (0..order).map(|i| matrix[(i, i)]).collect();
    let off_diagonal = (1..order).map(|i| matrix[(i, i - 1)]).collect();
    (diagonal, off_diagonal)
}
