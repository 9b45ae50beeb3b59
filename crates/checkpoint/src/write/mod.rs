//! Writing checkpoints: GGUF. (For safetensors there is the `safetensors` crate.)

mod gguf;

pub use gguf::{Gguf, GgufValue};
