//! Language-model checkpoints as named, typed, memory-mapped tensors.
//!
//! [`open`] takes a path (a Hugging Face folder, a `.safetensors` file, a `.gguf` file) and returns a [`Source`]:
//! the list of tensors, the configuration, and decoding to f32, a range at a time. Files come from strangers: every
//! count, offset and shape is checked against the file's size before it is used.
//!
//! It knows nothing of models: which tensor is whose query projection is not its business.

mod dtype;
mod error;
mod source;

pub use dtype::DType;
pub use error::{Error, ErrorKind};
pub use source::{Config, Format, MetaValue, Source, TensorInfo};
