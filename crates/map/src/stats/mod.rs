//! Statistics of columns and maps, for reports and comparisons. They know numbers only.
//!
//! All functions take finite numbers of any size: values are scaled by their largest magnitude first, so that no square
//! or sum overflows. Randomised ones take a seed and return the same bits for it.

mod bootstrap;
mod change;
mod effect;
mod reliability;
mod samples;
mod sequences;
mod sign_test;
mod spearman;
mod spread;

pub use bootstrap::{Bootstrap, quantile};
pub use change::{Evidence, Line, Shape, ShapeTest, Split, line, split};
pub use effect::cliffs_delta;
pub use reliability::{RankInterval, Reliability, rank_intervals, share_in_own_decile, spearman_brown, split_half};
pub use samples::{CellSamples, Sampled};
pub use sequences::SequenceTable;
pub use sign_test::{interval_of_difference, sign_test};
pub use spearman::{kendall, partial, partial_spearman, pearson, spearman, top_count, top_overlap};
pub use spread::{median, ranks, robust_z, z_scores};

/// `values` over their largest magnitude, and that magnitude (1 if all are zero).
pub(crate) fn scaled(values: &[f64]) -> (Vec<f64>, f64) {
    let largest = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    let scale = if largest > 0.0 { largest } else { 1.0 };
    (values.iter().map(|v| v / scale).collect(), scale)
}

/// Mean of at least one finite value; finite, whatever their size.
pub fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let sum: f64 = values.iter().sum();
    if sum.is_finite() {
        return sum / n;
    }
    // Divided first only where the sum would overflow: it costs a rounding for each value, which may still add up to
    // more than the largest number.
    values.iter().map(|v| v / n).sum::<f64>().clamp(-f64::MAX, f64::MAX)
}

/// True if all values are equal, or there is at most one.
pub(crate) fn constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}
