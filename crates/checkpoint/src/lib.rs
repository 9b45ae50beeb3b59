//! Language-model checkpoints as named, typed, memory-mapped tensors.
//!
//! [`open`] takes a path (a Hugging Face folder, a `.safetensors` file, a `.gguf` file) and returns a [`Source`]:
//! the list of tensors, the configuration, and decoding to f32, a range at a time. Files come from strangers: every
//! count, offset and shape is checked against the file's size before it is used.
//!
//! It knows nothing of models: which tensor is whose query projection is not its business.

mod backing;
mod checkpoint;
mod decode;
mod digest;
mod dtype;
mod error;
mod formats;
mod layout;
mod nearest;
mod open;
mod refuse;
mod source;
pub mod write;

pub use digest::config_digest;
pub use dtype::DType;
pub use error::{Error, ErrorKind};
pub use open::{from_bytes, open};
pub use source::{Config, Format, MetaValue, Source, TensorInfo};
