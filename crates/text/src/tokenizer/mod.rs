mod charsmap;
mod gguf;
mod merges;
mod metadata;
mod pre;

use std::collections::BTreeMap;

use tomo_checkpoint::MetaValue;

use crate::{TextError, TextErrorKind};

/// What a reader of some format found.
pub(crate) struct Parts {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    adds_bos: bool,
    kind: String,
    /// Largest id and one.
    size: u64,
}

/// A tokenizer of a checkpoint.
pub struct Tokenizer {
    parts: Parts,
}

impl Tokenizer {
    /// The tokenizer inside a GGUF file's metadata (`tokenizer.ggml.*`).
    ///
    /// # Errors
    /// No tokenizer, one of a kind that is not supported, or a damaged one.
    pub fn from_gguf(metadata: &BTreeMap<String, MetaValue>) -> Result<Self, TextError> {
        Ok(Self { parts: gguf::build(metadata)? })
    }

    /// Token ids of `text`; no token is added at either end.
    ///
    /// # Errors
    /// A character that the tokenizer has no token for.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let encoding = self.parts.inner.encode_fast(text, false).map_err(|e| {
            TextError::new(TextErrorKind::Text, "the tokenizer cannot encode the text").found(e.to_string())
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// For display.
    pub fn kind(&self) -> &str {
        &self.parts.kind
    }
}
