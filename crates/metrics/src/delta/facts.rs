use tomo_map::Score;

use super::{ChangeSums, PairSums};

/// A fact, or the score of every metric that needs it: why it is not known.
pub type Known<T> = Result<T, Score>;

/// What is known of one cell's change. Filled in by whoever can read the pair, as far as the metrics asked for need it;
/// scored by the catalogue.
#[derive(Clone, PartialEq, Debug)]
pub struct DeltaFacts {
    /// Output features m.
    pub rows: usize,
    /// Input features n.
    pub cols: usize,
    /// Sums over the entries of dW.
    pub change: Known<ChangeSums>,
    /// Sums over pairs of entries; needs a base.
    pub pair: Known<PairSums>,
    /// Singular values of dW, descending, `min(m, n)` of them (zeros included).
    pub delta_spectrum: Known<Vec<f64>>,
    /// Singular values of W0; needs a base.
    pub base_spectrum: Known<Vec<f64>>,
    /// Singular values of W1; needs a base.
    pub tuned_spectrum: Known<Vec<f64>>,
    /// What became of the principal directions; needs a base.
    pub principal: Known<Principal>,
}

/// The k strongest singular directions before and after, U0, V0 and U1, V1 (`[m, k]` and `[n, k]`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Principal {
    /// k.
    pub rank: usize,
    /// `||U0^T U1||_F^2 / k`.
    pub overlap_left: f64,
    /// `||V0^T V1||_F^2 / k`.
    pub overlap_right: f64,
    /// `||U0^T dW V0||_F`.
    pub core: f64,
    /// Why the directions are not sharply defined, if they are not.
    pub caveat: Option<&'static str>,
}

/// Which facts a delta metric reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeltaNeeds {
    /// [`DeltaFacts::change`] and [`DeltaFacts::pair`].
    pub sums: bool,
    /// [`DeltaFacts::delta_spectrum`].
    pub delta_spectrum: bool,
    /// [`DeltaFacts::base_spectrum`] and [`DeltaFacts::tuned_spectrum`].
    pub spectra: bool,
    /// [`DeltaFacts::principal`].
    pub principal: bool,
}

impl DeltaNeeds {
    /// None of them; for struct update in a `static`.
    pub const NONE: Self = Self { sums: false, delta_spectrum: false, spectra: false, principal: false };
    /// Sums alone: a sweep over both files.
    pub const SUMS: Self = Self { sums: true, ..Self::NONE };

    /// What either reads.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            sums: self.sums || other.sums,
            delta_spectrum: self.delta_spectrum || other.delta_spectrum,
            spectra: self.spectra || other.spectra,
            principal: self.principal || other.principal,
        }
    }

    /// Whether matrices are needed, rather than a sweep.
    pub(crate) fn matrices(self) -> bool {
        self.delta_spectrum || self.spectra || self.principal
    }
}

impl DeltaFacts {
    /// Facts of a cell of which nothing is known, for the reason that `score` gives.
    pub fn unknown(rows: usize, cols: usize, score: &Score) -> Self {
        Self {
            rows,
            cols,
            change: Err(score.clone()),
            pair: Err(score.clone()),
            delta_spectrum: Err(score.clone()),
            base_spectrum: Err(score.clone()),
            tuned_spectrum: Err(score.clone()),
            principal: Err(score.clone()),
        }
    }

    /// `score` of the sums over pairs, or the reason why there are none.
    pub fn of_pair(&self, score: impl FnOnce(&PairSums) -> Score) -> Score {
        of(&self.pair, score)
    }

    /// `score` of the sums over dW, or the reason why there are none.
    pub fn of_change(&self, score: impl FnOnce(&ChangeSums) -> Score) -> Score {
        of(&self.change, score)
    }

    /// `score` of the singular values of dW, or the reason why there are none.
    pub fn of_delta_spectrum(&self, score: impl FnOnce(&[f64]) -> Score) -> Score {
        of(&self.delta_spectrum, |values| score(values))
    }

    /// `score` of the principal directions, or the reason why there are none; their caveat goes with it.
    pub fn of_principal(&self, score: impl FnOnce(&Principal) -> Score) -> Score {
        of(&self.principal, |found| score(found).with_caveat(found.caveat.unwrap_or_default()))
    }
}

fn of<T>(fact: &Known<T>, score: impl FnOnce(&T) -> Score) -> Score {
    fact.as_ref().map_or_else(Clone::clone, score)
}
