//! From a user's text to windows of token ids.
//!
//! [`Tokenizer::for_checkpoint`] finds the tokenizer of a checkpoint (`tokenizer.json`, or the one inside a GGUF file);
//! [`Text`] holds documents (files, JSONL, standard input, the bundled sample); [`Windows::choose`] makes the sequences that a model is
//! run on. It knows no models and no metrics.

mod bundled;
mod choose;
mod error;
mod passages;
mod text;
mod tokenizer;
mod windows;

pub use choose::WindowOptions;
pub use error::{TextError, TextErrorKind};
pub use passages::{NotPassages, Overlap, Passages};
pub use text::Text;
pub use tokenizer::Tokenizer;
pub use windows::Windows;
