//! GGUF's tensor types: rows of f32 to blocks of bytes and back.
//!
//! ```
//! let q4_k = tomo_blocks::find("q4_k").ok_or("no such type")?;
//! let row: Vec<f32> = (0..512).map(|i| ((i * 37 % 101) as f32 - 50.0) / 1000.0).collect();
//!
//! let mut bytes = vec![0; q4_k.row_bytes(row.len())?];
//! q4_k.encode_row(&row, None, &mut bytes)?;
//! let mut again = vec![0.0; row.len()];
//! q4_k.decode_row(&bytes, &mut again)?;
//!
//! // 576 columns are no whole number of blocks of 256: llama-quantize stores them as q5_0.
//! assert_eq!(q4_k.fallback(576).id, "q5_0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A type is one file under `types/` and one line of its registry; the file's `//!` header is its manual. Bytes are those
//! that llama.cpp writes (ggml's `ggml_quantize_chunk` as compiled for x86-64), values those that it reads.
//!
//! # Exactness
//! Encoders search: which scale of a few dozen leaves the smallest error is decided by comparing sums in f32, so equal bytes
//! need the sums in the same order. They are: see `lanes.rs`. No multiplication is fused with an addition, so that
//! all instruction sets give the same bytes. (Builds of llama.cpp for processors where the compiler fuses by default, as
//! on ARM, can differ from its own x86-64 builds in single blocks.)
//!
//! # What is refused
//! NaN, infinities, rows that are no whole blocks, and weights so large that a scale overflows: llama-quantize stops at
//! those too. Weights beyond 2.7e8 are refused by every type with an f16 scale; ggml's sums overflow from about 1e11 on, and some
//! types then store zeros and say nothing.
//!
//! It knows slices only: no files, no tensors' names, no models.

mod block_type;
pub mod dispatch;
mod error;
mod lanes;
mod search;
mod types;

pub use block_type::BlockType;
pub use dispatch::Dispatch;
pub use error::BlockError;
pub use types::*;
