//! # Measures
//! How far the weights move when they are stored as NVIDIA's NVFP4, blocks of 16 along a row with an FP8 scale and one
//! scale per matrix.
//!
//! # Formula
//! `||W - Q(W)||_F / ||W||_F`, both norms summed in f64. Q is the format `nvfp4`; its arithmetic, rounding and bits per
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
//! Small blocks follow outliers, so the error hardly tells heavy-tailed cells from others; ranks of it are mostly
//! noise.
//! Cells with equal errors can differ a hundredfold in loss: the error is the cost factor, the model's sensitivity to
//! the cell is the other.
//!
//! # Source
//! NVIDIA ModelOpt `NVFP4QTensor`.

use crate::Metric;
use crate::quantization_error::metric;

pub(crate) static METRIC: Metric = metric(
    "err-nvfp4",
    "NVFP4 error",
    "Relative error of the weights stored as NVFP4, in blocks of 16.",
    include_str!("err_nvfp4.rs"),
    "nvfp4",
);
