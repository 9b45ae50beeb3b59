//! From a user's text to windows of token ids.

mod error;
mod tokenizer;

pub use error::{TextError, TextErrorKind};
pub use tokenizer::Tokenizer;
