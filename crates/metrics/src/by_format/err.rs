//! # Measures
//! How far the weights move when they are stored in a number format, the one that the metric's id ends with.
//!
//! # Formula
//! `||W - Q(W)||_F / ||W||_F`, both norms summed in f64. Q is the format; its arithmetic, rounding and
//! bits per weight are in its own manual (`tomograph explain q6_k`). Integer formats cut rows into groups (`--group N`).
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
//! Rows are no whole blocks of the format: there is no score then, and its reason names the type that is stored instead.
//! Cells with equal errors can differ a hundredfold in loss: the error is the cost factor, the model's sensitivity to
//! the cell is the other.
//!
//! # Source
//! The format's own manual.
