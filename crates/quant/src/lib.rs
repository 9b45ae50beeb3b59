//! Number formats of quantized weights, simulated: what a format would make of a matrix, and how far off that is.
//!
//! ```
//! use tomo_quant::{Matrix, find};
//!
//! let weights = [0.5, -1.0, 0.25, 0.125, 1.5, -0.75];
//! let matrix = Matrix::new(&weights, 3, 128)?;
//! let int4 = find("int4").ok_or("no such format")?;
//!
//! let mut rounded = [0.0; 6];
//! int4.roundtrip(&matrix, &mut rounded)?;
//! assert!(int4.error(&matrix).relative() < 0.05);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A format is one file under `format/` and one line of its registry; the file's `//!` header is its manual. Every
//! format cuts the *rows* of a matrix into blocks along the input dimension, never across rows; the last block of a
//! row may be short.
//!
//! Types of GGUF are formats too (`q4_k`, `iq4_xs`, `f16`): they go through the codec that writes their bytes, [`blocks`], and so
//! have nothing for rows that are no whole blocks; [`Format::check`] says so, and what llama.cpp would take instead.
//!
//! # Exactness
//! Values are computed in f32 with plain IEEE operations in a fixed order (no fused multiply-add, no reciprocals that
//! a definition does not ask for), so a rounded matrix is the same to the bit whatever instructions the machine has.
//! Error sums are f64 over sixteen fixed lanes, so they are too.
//!
//! # Values that are not finite
//! NaN never vanishes: a NaN weight rounds to NaN, and a block (for formats with a scale per matrix: the matrix; for types of
//! GGUF: the row) that holds an infinity rounds to NaN as a whole. Both make [`ErrorSums::relative`] NaN.
//!
//! It knows matrices only: no files, no models, no metrics.

mod engine;
mod float;
mod format;
mod lanes;
mod matrix;

pub use engine::ErrorSums;
pub use format::{FORMATS, Format, find};
pub use matrix::{Matrix, ShapeError};
/// GGUF's types: blocks of bytes, with importances or without.
pub use tomo_blocks as blocks;
pub use tomo_blocks::Dispatch;
