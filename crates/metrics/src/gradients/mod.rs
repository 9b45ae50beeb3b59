//! Gradient metrics.

pub(crate) mod catalogue;
mod sums;

pub use sums::{GradientSums, WholeGradient};
