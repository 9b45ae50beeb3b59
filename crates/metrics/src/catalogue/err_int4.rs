//! # Measures
//! How far the weights move when they are stored as asymmetric 4-bit integers, rounded to nearest, one scale and zero
//! point per group of a row (`--group N`, 128 by default).
//!
//! # Formula
//! `||W - Q(W)||_F / ||W||_F`, both norms summed in f64. Q is the format `int4`; its arithmetic, rounding and bits per
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
//! One large weight stretches its group and spoils the other 127; a method that rotates or clips first does not
//! suffer from it.
//! Cells with equal errors can differ a hundredfold in loss: the error is the cost factor, the model's sensitivity to
//! the cell is the other.
//!
//! # Source
//! GPTQ's round-to-nearest baseline (Frantar et al. 2022, arXiv 2210.17323).

use crate::Metric;
use crate::quantization_error::metric;

pub(crate) static METRIC: Metric = metric(
    "err-int4",
    "INT4 error",
    "Relative error of the weights stored as INT4, in groups (128 by default).",
    include_str!("err_int4.rs"),
    "int4",
);
