//! Facts of a change that is a product of two factors: sums over its entries a few rows at a time, singular values without
//! the product.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatRef, Par};

use tomo_map::{Score, Status};

use super::{ChangeSums, DeltaFacts, DeltaNeeds, Factors, PairSums};

/// Rows that are formed together.
const ROWS: usize = 32;

/// Why a change without its base has no score where that is needed.
const NEEDS_BASE: &str = "needs the weights before the change: give --against BASE";

impl DeltaFacts {
    /// Facts of a change whose base is not known.
    pub(crate) fn of_factors_alone(change: &Factors, needs: DeltaNeeds) -> Self {
        let (rows, cols) = (change.rows, change.cols);
        let reason = match change.magnitude {
            Some(_) => "its magnitudes (DoRA) change the weights that it was put on too: give --against BASE",
            None => NEEDS_BASE,
        };
        let mut facts = Self::unknown(rows, cols, &Score::missing(Status::NotApplicable, reason));
        if change.magnitude.is_some() {
            return facts;
        }
        if needs.sums {
            facts.change = Ok(sums_of(change));
        }
        if needs.delta_spectrum {
            facts.delta_spectrum = spectrum_of(change);
        }
        facts
    }
}

/// Sums over the entries of `scaling B A`.
fn sums_of(change: &Factors) -> ChangeSums {
    let mut sums = ChangeSums { count: change.rows as f64 * change.cols as f64, ..ChangeSums::default() };
    for_each_rows(change, |_, rows| {
        sums.delta2 += rows.iter().map(|d| d * d).sum::<f64>();
        sums.delta_abs += rows.iter().map(|d| d.abs()).sum::<f64>();
    });
    sums
}

/// Sums over the pairs of W0 and W0 + scaling B A. Sums are of the change itself, whatever of it float32 can add to W0;
/// what is counted are entries that float32 tells apart. Leaves W1 in `tuned` where that is given.
pub(crate) fn pair_sums_of(change: &Factors, base: &[f32], mut tuned: Option<&mut Vec<f32>>) -> PairSums {
    let mut counts = PairSums::default();
    let mut exact = PairSums::default();
    if let Some(tuned) = &mut tuned {
        tuned.resize(base.len(), 0.0);
    }
    let mut after = vec![0.0; ROWS * change.cols];
    for_each_rows(change, |start, rows| {
        let before = &base[start..start + rows.len()];
        let after = &mut after[..rows.len()];
        for ((d, w0), w1) in rows.iter().zip(before).zip(&mut *after) {
            let w0 = f64::from(*w0);
            exact.change.delta2 += d * d;
            exact.change.delta_abs += d.abs();
            exact.dot += w0 * d;
            exact.tuned2 += (w0 + d) * (w0 + d);
            *w1 = (w0 + d) as f32;
        }
        counts.add(before, after);
        if let Some(tuned) = &mut tuned {
            tuned[start..start + rows.len()].copy_from_slice(after);
        }
    });
    let change = ChangeSums { count: counts.change.count, ..exact.change };
    PairSums { change, dot: exact.dot, tuned2: exact.tuned2, ..counts }
}

/// Hands over rows of `scaling B A`, with the place of the first entry.
pub(crate) fn for_each_rows(change: &Factors, mut work: impl FnMut(usize, &[f64])) {
    let product = change.product();
    let mut buffer = vec![0.0; ROWS * change.cols];
    for first in (0..change.rows).step_by(ROWS) {
        let last = (first + ROWS).min(change.rows);
        let rows = &mut buffer[..(last - first) * change.cols];
        product.rows(first..last, rows);
        work(first * change.cols, rows);
    }
}

/// What of the factors is not finite, in words.
pub(crate) fn what_of_factors_is_not_finite(change: &Factors) -> Option<String> {
    let magnitudes = change.magnitude.as_deref().unwrap_or_default();
    let parts =
        [("A", &change.a[..], change.cols), ("B", &change.b[..], change.rank), ("the magnitudes", magnitudes, 1)];
    parts.into_iter().find_map(|(name, values, width)| {
        let at = tomo_model::first_not_finite(values)?;
        Some(format!("row {}, column {} of {name} is {}", at / width, at % width, values[at]))
    })
}

/// [`singular_values_of`], or the reason why there are none.
pub(crate) fn spectrum_of(change: &Factors) -> super::Known<Vec<f64>> {
    let values = singular_values_of(change);
    let reason = "no singular values: the matrix is empty or not finite";
    if values.is_empty() { Err(Score::missing(Status::Undefined, reason)) } else { Ok(values) }
}

/// Singular values of `scaling B A`, descending, `min(m, n)` of them; empty when the iteration did not converge. With
/// B = Q R and A^T = P S they are those of `scaling R S^T`, of the order of the rank.
fn singular_values_of(factors: &Factors) -> Vec<f64> {
    let Factors { rows, cols, rank, .. } = *factors;
    let mut values = vec![0.0; rows.min(cols)];
    if rank == 0 || values.is_empty() {
        return values;
    }
    let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    let (a, b) = (wide(&factors.a), wide(&factors.b));
    let left = upper(MatRef::from_row_major_slice(&b, rows, rank));
    let right = upper(MatRef::from_row_major_slice(&a, rank, cols).transpose());
    let mut core = Mat::zeros(left.nrows(), right.nrows());
    matmul(core.as_mut(), Accum::Replace, left.as_ref(), right.as_ref().transpose(), factors.scaling.abs(), Par::Seq);
    let order = core.nrows().min(core.ncols());
    let mut found = Diag::zeros(order);
    let none = ComputeSvdVectors::No;
    let scratch = svd_scratch::<f64>(core.nrows(), core.ncols(), none, none, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    if svd(core.as_ref(), found.as_mut(), None, None, Par::Seq, stack, Default::default()).is_err() {
        return Vec::new();
    }
    values.iter_mut().zip(found.column_vector().iter()).for_each(|(value, found)| *value = *found);
    values
}

/// R of `matrix = Q R`, `[min(rows, cols), cols]`.
fn upper(matrix: MatRef<'_, f64>) -> Mat<f64> {
    let (rows, cols) = (matrix.nrows(), matrix.ncols());
    let mut reduced = matrix.to_owned();
    let block = recommended_block_size::<f64>(rows, cols);
    let mut coefficients = Mat::zeros(block, rows.min(cols));
    let scratch = qr_in_place_scratch::<f64>(rows, cols, block, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    qr_in_place(reduced.as_mut(), coefficients.as_mut(), Par::Seq, MemStack::new(&mut memory), Default::default());
    // Below the diagonal there are reflections.
    Mat::from_fn(rows.min(cols), cols, |i, j| if i <= j { reduced[(i, j)] } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use tomo_testkit::{Within, assert_close};

    use super::*;
    use crate::Matrix;
    use crate::spectrum::{Workspace, singular_values};

    fn factors(rows: usize, cols: usize, rank: usize) -> Factors {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as f32 / 4096.0 - 0.5
        };
        let a = (0..rank * cols).map(|_| next()).collect();
        let b = (0..rows * rank).map(|_| next()).collect();
        Factors { rows, cols, rank, a, b, scaling: -2.0, magnitude: None }
    }

    /// The product formed, in f64 and rounded to f32, and decomposed by the code for any matrix.
    #[test]
    fn values_are_those_of_the_product() {
        for (rows, cols, rank) in [(40, 30, 4), (12, 50, 4), (50, 12, 1), (9, 11, 16), (16, 16, 16)] {
            let factors = factors(rows, cols, rank);
            let mut product = vec![0.0; rows * cols];
            factors.tuned(&vec![0.0; rows * cols], &mut product);
            let matrix = Matrix { rows, cols, values: &product };
            let expected = singular_values(matrix, &mut Workspace::default(), 1);
            let found = singular_values_of(&factors);
            assert_eq!(found.len(), expected.len());
            let top = expected[0];
            assert_close(&found, &expected, Within::Absolute(2e-6 * top));
            assert!(found[rank.min(found.len())..].iter().all(|x| *x == 0.0));
        }
    }

    /// B = (1, 1; 1, -1) / sqrt(2) times diag(3, 2), A = the identity beside zeros: values 3 and 2, times the scaling.
    #[test]
    fn values_that_are_known() {
        let b = vec![3.0, 2.0, 3.0, -2.0];
        let a = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let factors = Factors { rows: 2, cols: 3, rank: 2, a, b, scaling: 0.5_f64.sqrt() * 4.0, magnitude: None };
        assert_close(singular_values_of(&factors), [12.0, 8.0], Within::Relative(1e-14));
        assert_eq!(singular_values_of(&Factors::none(3, 2)), [0.0, 0.0]);
    }
}
