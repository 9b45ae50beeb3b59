//! # Measures
//! How far the weights move when they are stored as MXFP4, blocks of 32 along a row with a power of two as the scale.
//!
//! # Formula
//! `||W - Q(W)||_F / ||W||_F`, both norms summed in f64. Q is the format `mxfp4`; its arithmetic, rounding and bits per
//! weight are in the format's own manual.
//!
//! Form `@x`, with a text or an imatrix: `sqrt(sum_ij (W - Q)_ij^2 A_j / sum_ij W_ij^2 A_j)`, where A_j is the mean square
//! of input column j over the tokens that the cell read.
//!
//! # Unit
//! Ratio; its square is the noise-to-signal ratio.
//!
//! # Direction
//! High = fragile, if all cells were equally sensitive, which they are not.
//!
//! # Cost
//! One sweep over the entries.
//!
//! # Misleads when
//! The power-of-two scale makes the error depend on where the largest weight of a block lies between two powers of
//! two: scaling a matrix changes its error.
//! Cells with equal errors can differ a hundredfold in loss: the error is the cost factor, the model's sensitivity to
//! the cell is the other.
//!
//! # Source
//! OCP Microscaling Formats (MX) v1.0.

use crate::Metric;
use crate::quantization_error::metric;

pub(crate) static METRIC: Metric = metric(
    "err-mxfp4",
    "MXFP4 error",
    "Relative error of the weights stored as MXFP4, in blocks of 32.",
    include_str!("err_mxfp4.rs"),
    "mxfp4",
);
