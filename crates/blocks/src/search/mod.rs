//! Searches for the scale (and minimum) of a block that leave the smallest weighted error.
//!
//! Each tries a few scales around the one that just covers the block, rounds, fits the scale to what was rounded by
//! weighted least squares, and keeps the best. They are the searches of ggml's `ggml-quants.c`, by their order of
//! operations, for sixteen blocks at once.

mod affine;
mod levels;
mod polish;
mod refine;
mod sub_scales;
mod symmetric;

pub(crate) use affine::{Affine, AffineFit};
pub(crate) use levels::{IQ4_LEVELS, fit_to_levels, nearest_level_index};
pub(crate) use refine::refine;
pub(crate) use sub_scales::sub_scales;
pub(crate) use symmetric::{SymmetricFit, symmetric};

/// Blocks whose largest |w| is below this count as zeros.
pub(crate) const ZERO: f32 = 1e-15;
