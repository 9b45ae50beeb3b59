//! # Measures
//! How far the weights move when they are stored as NormalFloat 4, blocks of 64 along a row with their largest |w| as
//! the scale.
//!
//! # Formula
//! `||W - Q(W)||_F / ||W||_F`, both norms summed in f64. Q is the format `nf4`; its arithmetic, rounding and bits per
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
//! The levels suit Gaussian weights; the error says little about formats with even steps.
//! Cells with equal errors can differ a hundredfold in loss: the error is the cost factor, the model's sensitivity to
//! the cell is the other.
//!
//! # Source
//! QLoRA (Dettmers et al. 2023, arXiv 2305.14314); arithmetic as bitsandbytes.

use crate::Metric;
use crate::quantization_error::metric;

pub(crate) static METRIC: Metric = metric(
    "err-nf4",
    "NF4 error",
    "Relative error of the weights stored as NF4, in blocks of 64.",
    include_str!("err_nf4.rs"),
    "nf4",
);
