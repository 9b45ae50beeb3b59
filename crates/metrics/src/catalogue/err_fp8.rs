//! # Measures
//! How far the weights move when they are stored as FP8 E4M3 with one scale for the matrix.
//!
//! # Formula
//! `||W - Q(W)||_F / ||W||_F`, both norms summed in f64. Q is the format `fp8`; its arithmetic, rounding and bits per
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
//! One scale serves the whole matrix, but the format is a float: the error is close to 0.026 for any weights that
//! stay clear of the smallest numbers, so differences between cells are tiny.
//! Cells with equal errors can differ a hundredfold in loss: the error is the cost factor, the model's sensitivity to
//! the cell is the other.
//!
//! # Source
//! Micikevicius et al. 2022 (arXiv 2209.05433); rounding as `torch.float8_e4m3fn`.

use crate::Metric;
use crate::quantization_error::metric;

pub(crate) static METRIC: Metric = metric(
    "err-fp8",
    "FP8 E4M3 error",
    "Relative error of the weights stored as FP8 E4M3, with one scale.",
    include_str!("err_fp8.rs"),
    "fp8",
);
