//! Statistics of columns and maps, for reports and comparisons. They know numbers only.
//!
//! All functions take finite numbers of any size: values are scaled by their largest magnitude first, so that no square
//! or sum overflows. Randomised ones take a seed and return the same bits for it.

mod change;
mod effect;
mod spread;

pub use change::{Evidence, Line, Shape, ShapeTest, Split, line, split};
pub use effect::cliffs_delta;
pub use spread::{median, ranks, robust_z, z_scores};

/// `values` over their largest magnitude, and that magnitude (1 if all are zero).
pub(crate) fn scaled(values: &[f64]) -> (Vec<f64>, f64) {
    let largest = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    let scale = if largest > 0.0 { largest } else { 1.0 };
    (values.iter().map(|v| v / scale).collect(), scale)
}

/// True if all values are equal, or there is at most one.
pub(crate) fn constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}
