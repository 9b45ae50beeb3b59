//! Language-model checkpoints as named, typed, memory-mapped tensors.
//!
//! [`open`] takes a path (a Hugging Face folder, a `.safetensors` file, a `.gguf` file) and returns a [`Source`]:
//! the list of tensors, the configuration, and decoding to f32, a range at a time. Files come from strangers: every
//! count, offset and shape is checked against the file's size before it is used.
//!
//! ```
//! use tomo_checkpoint::{DType, open, write::Gguf};
//!
//! let mut file = Gguf::new();
//! let ones: Vec<u8> = [1.0f32; 6].iter().flat_map(|x| x.to_le_bytes()).collect();
//! file.tensor("blk.0.attn_q.weight", DType::F32, &[2, 3], ones)?;
//! let path = std::env::temp_dir().join(format!("tomo-checkpoint-doc-{}.gguf", std::process::id()));
//! std::fs::write(&path, file.to_bytes()?)?;
//!
//! let source = open(&path)?;
//! for tensor in source.tensors() {
//!     let mut weights = vec![0.0; tensor.numel() as usize];
//!     source.decode(&tensor.name, 0..tensor.numel(), &mut weights)?;
//!     source.release(&tensor.name, 0..tensor.numel());
//!     assert_eq!(weights, [1.0; 6]);
//! }
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It knows nothing of models: which tensor is whose query projection is not its business.

mod adapter;
mod backing;
mod checkpoint;
mod decode;
mod digest;
mod dtype;
mod error;
mod files;
mod formats;
#[cfg(feature = "hub")]
pub mod hub;
mod layout;
mod metadata;
mod nearest;
mod open;
mod refuse;
mod source;
#[cfg(feature = "store")]
pub mod store;
pub mod write;

pub use adapter::{AdapterFiles, open_adapter};
pub use digest::config_digest;
pub use dtype::DType;
pub use error::{Error, ErrorKind};
pub use metadata::{GgufEntry, GgufMetadata};
pub use open::{from_bytes, open};
pub use source::{Config, Fetched, Format, MetaValue, Source, TensorInfo};
