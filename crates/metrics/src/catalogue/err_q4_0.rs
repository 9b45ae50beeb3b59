//! # Measures
//! How far the weights move when they are stored as ggml's Q4_0, blocks of 32 along a row with an f16 scale.
//!
//! # Formula
//! `||W - Q(W)||_F / ||W||_F`, both norms summed in f64. Q is the format `q4_0`; its arithmetic, rounding and bits per
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
//! llama.cpp's K-quants (`q4_k`) search their scales and err less; and rows whose length 32 does not divide are no
//! Q4_0 there.
//! Cells with equal errors can differ a hundredfold in loss: the error is the cost factor, the model's sensitivity to
//! the cell is the other.
//!
//! # Source
//! ggml `quantize_row_q4_0_ref`; arithmetic as the gguf Python package.

use crate::Metric;
use crate::quantization_error::metric;

pub(crate) static METRIC: Metric = metric(
    "err-q4_0",
    "Q4_0 error",
    "Relative error of the weights stored as Q4_0, in blocks of 32.",
    include_str!("err_q4_0.rs"),
    "q4_0",
);
