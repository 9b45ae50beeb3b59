//! What the metrics of a change say alike.

use tomo_map::{Score, Status};

use crate::PairSums;

/// Why there is no ratio to a base of zeros.
pub(super) const ZERO_BASE: &str = "all weights before the change are 0";
/// Why there is no ratio to a tuned matrix of zeros.
pub(super) const ZERO_TUNED: &str = "all weights after the change are 0";
/// Why a change of nothing has no shape.
pub(super) const UNCHANGED: &str = "nothing changed: the two matrices are identical";

/// The score of a cell where a quotient has no value.
pub(super) fn undefined(reason: &str) -> Score {
    Score::missing(Status::Undefined, reason)
}

/// `count` over all entries.
pub(super) fn share(count: u64, sums: &PairSums) -> Score {
    Score::from_value(count as f64 / sums.change.count)
}
