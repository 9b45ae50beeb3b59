//! Facts of a pair whose two matrices are in memory.

use tomo_map::{Score, Status};

use super::low_rank::for_each_rows;
use super::sums::sweep;
use super::{DeltaFacts, DeltaNeeds, Factors, Known, PairSums, Principal};
use crate::spectrum::{Decomposed, Directions, decompose, product_of, shared_energy};
use crate::{Matrix, Options, Workspace};

/// A worker's two matrices and the decompositions' workspace, used again for every cell.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) base: Vec<f32>,
    pub(crate) tuned: Vec<f32>,
    pub(crate) workspace: Workspace,
}

/// Why directions are not sharply defined.
const UNDETERMINED: &str =
    "the last of the compared directions is as strong as the next: the subspace is not determined";

/// What the decompositions of one cell are to find.
struct Task<'a> {
    rows: usize,
    cols: usize,
    needs: DeltaNeeds,
    options: &'a Options,
    threads: usize,
    change: Option<&'a Factors>,
}

impl DeltaFacts {
    /// Facts of two matrices of one shape, as far as `needs` says.
    pub fn of_matrices(base: Matrix<'_>, tuned: Matrix<'_>, needs: DeltaNeeds, options: &Options) -> Self {
        let mut buffers =
            Buffers { base: base.values.to_vec(), tuned: tuned.values.to_vec(), workspace: Workspace::default() };
        let sums = sweep(&buffers.base, &buffers.tuned);
        Self::of_buffers(base.rows, base.cols, sums, &mut buffers, needs, options, 1)
    }

    /// Facts of the matrices in `buffers`, `rows x cols` each, whose sums are known. The tuned one is used up: dW is left in
    /// its place.
    pub(crate) fn of_buffers(
        rows: usize,
        cols: usize,
        sums: PairSums,
        buffers: &mut Buffers,
        needs: DeltaNeeds,
        options: &Options,
        threads: usize,
    ) -> Self {
        Task { rows, cols, needs, options, threads, change: None }.run(sums, buffers)
    }

    /// The same, where dW is known better than as the difference of the two. Its singular values are left to the caller.
    pub(crate) fn of_buffers_and_change(
        change: &Factors,
        sums: PairSums,
        buffers: &mut Buffers,
        needs: DeltaNeeds,
        options: &Options,
        threads: usize,
    ) -> Self {
        let needs = DeltaNeeds { delta_spectrum: false, ..needs };
        Task { rows: change.rows, cols: change.cols, needs, options, threads, change: Some(change) }.run(sums, buffers)
    }

    /// Facts of a pair of which only the sums are known.
    pub(crate) fn of_sums(rows: usize, cols: usize, sums: PairSums) -> Self {
        let unasked = Score::missing(Status::NotMeasured, "no metric asked for it");
        Self { change: Ok(sums.change), pair: Ok(sums), ..Self::unknown(rows, cols, &unasked) }
    }
}

impl Task<'_> {
    fn run(&self, sums: PairSums, buffers: &mut Buffers) -> DeltaFacts {
        let mut facts = DeltaFacts::of_sums(self.rows, self.cols, sums);
        let is_same = sums.changed == 0;
        let Buffers { base, tuned, workspace } = buffers;
        let k = self.needs.principal.then_some(self.options.subspace_rank);
        let both = self.needs.spectra || self.needs.principal;
        let before = both.then(|| self.decompose(base, workspace, self.needs.spectra, k));
        let after = (both && !is_same).then(|| self.decompose(tuned, workspace, self.needs.spectra, k));
        match self.change {
            None => tuned.iter_mut().zip(base.iter()).for_each(|(w1, w0)| *w1 -= *w0),
            Some(change) => for_each_rows(change, |start, rows| {
                tuned[start..].iter_mut().zip(rows).for_each(|(delta, d)| *delta = *d as f32);
            }),
        }
        if let Some(before) = before {
            let after = after.as_ref().unwrap_or(&before);
            if self.needs.spectra {
                facts.base_spectrum = known(before.values.clone());
                facts.tuned_spectrum = known(after.values.clone());
            }
            if self.needs.principal {
                facts.principal = self.principal(before.directions.as_ref(), after.directions.as_ref(), tuned);
            }
        }
        if self.needs.delta_spectrum {
            facts.delta_spectrum = match is_same {
                true => Ok(vec![0.0; self.rows.min(self.cols)]),
                false => known(self.decompose(tuned, workspace, true, None).values),
            };
        }
        facts
    }

    fn matrix<'m>(&self, values: &'m [f32]) -> Matrix<'m> {
        Matrix { rows: self.rows, cols: self.cols, values }
    }

    fn decompose(&self, values: &[f32], workspace: &mut Workspace, all: bool, k: Option<usize>) -> Decomposed {
        decompose(self.matrix(values), workspace, self.threads, all, k)
    }

    /// What became of the principal directions; `delta` is dW.
    fn principal(&self, before: Option<&Directions>, after: Option<&Directions>, delta: &[f32]) -> Known<Principal> {
        let k = self.options.subspace_rank;
        let short = self.rows.min(self.cols);
        if k >= short {
            let reason = format!("{k} directions are all there are: --subspace-rank must be below min(m, n) = {short}");
            return Err(Score::missing(Status::NotApplicable, reason));
        }
        let (Some(before), Some(after)) = (before, after) else {
            let reason = format!("one of the two matrices has fewer than {k} directions: the rest of it is 0");
            return Err(Score::missing(Status::Undefined, reason));
        };
        let image = product_of(self.matrix(delta), before.right.as_ref(), faer::Par::Seq);
        let overlap = |a: &faer::Mat<f64>, b: &faer::Mat<f64>| {
            // Rounding must not make more than all of it.
            (shared_energy(a.as_ref(), b.as_ref()) / k as f64).min(1.0)
        };
        let is_same = std::ptr::eq(before, after);
        Ok(Principal {
            rank: k,
            overlap_left: if is_same { 1.0 } else { overlap(&before.left, &after.left) },
            overlap_right: if is_same { 1.0 } else { overlap(&before.right, &after.right) },
            core: shared_energy(before.left.as_ref(), image.as_ref()).sqrt(),
            caveat: if is_same || (before.is_sharp && after.is_sharp) { None } else { Some(UNDETERMINED) },
        })
    }
}

/// Singular values, or the reason why there are none.
fn known(values: Vec<f64>) -> Known<Vec<f64>> {
    match values.is_empty() {
        true => Err(Score::missing(Status::Undefined, "no singular values: the matrix is empty or not finite")),
        false => Ok(values),
    }
}
