mod charsmap;
mod gguf;
mod json;
mod merges;
mod metadata;
mod pre;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use tomo_checkpoint::{Config, MetaValue, Source};

use crate::{TextError, TextErrorKind};

/// What a reader of some format found.
struct Parts {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    adds_bos: bool,
    kind: String,
    /// Largest id and one.
    size: u64,
    /// Has seen everything that decides about tokens but the fields above.
    hasher: blake3::Hasher,
}

/// White space in a row that the library's regular expressions are trusted with. Their engine gives up at a million steps and the
/// library then takes the rest of the text for one word, without a word of warning.
const MAX_WHITE_SPACE: usize = 250_000;

/// A tokenizer of a checkpoint: text to token ids as transformers does it.
///
/// `tokenizer.json` is read by the library that transformers uses. Tokenizers inside GGUF files are rebuilt as objects of that
/// library, after the model's own tokenizer.json where GGUF files and their readers differ.
///
/// **Special tokens.** Text that spells a special token (`<|im_end|>`) becomes that token, as in transformers by default; a
/// `tokenizer_config.json` with `split_special_tokens` turns that off. [`encode`](Self::encode) adds no token at either end;
/// BOS is the business of [`Windows`](crate::Windows).
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    adds_bos: bool,
    kind: String,
    size: u64,
    digest: String,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("kind", &self.kind).field("vocab_size", &self.size).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// The tokenizer of a checkpoint: `tokenizer.json` in its folder, or beside its file, else the tokenizer inside the GGUF file.
    ///
    /// A `tokenizer.json` beside a GGUF file that has a tokenizer of its own is taken only where both have the same
    /// tokens: a folder of downloads may hold another model's.
    ///
    /// # Errors
    /// No tokenizer, one of a kind that is not supported, or a damaged one; one that a store does not give.
    pub fn for_checkpoint(source: &dyn Source) -> Result<Self, TextError> {
        let path = source.path();
        let folder = source.companions().map_err(|e| TextError::of_checkpoint(&e))?;
        let file = folder.join("tokenizer.json");
        let beside = file.is_file();
        match source.config() {
            Config::Gguf(metadata) if gguf::is_present(metadata) => {
                if beside
                    && let Ok(tokenizer) = Self::from_file(&file)
                    && tokenizer.has_tokens_of(metadata)
                {
                    return Ok(tokenizer);
                }
                Self::from_gguf(metadata).map_err(|e| e.in_file(path))
            }
            _ if beside => {
                let mut tokenizer = Self::from_file(&file)?;
                if let Config::HuggingFace(config) = source.config() {
                    tokenizer.fill_from_config(config);
                }
                Ok(tokenizer)
            }
            _ => Err(TextError::new(TextErrorKind::Missing, "the checkpoint has no tokenizer")
                .in_file(path)
                .expected("tokenizer.json beside it")
                .hint(
                    "save one with transformers: \
                     AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER); or give token ids",
                )),
        }
    }

    /// The tokenizer in a `tokenizer.json`, with the `tokenizer_config.json` and `special_tokens_map.json` beside it, if there
    /// are any. Truncation, padding and dropout in the file are ignored.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged, or a WordPiece tokenizer.
    pub fn from_file(path: &Path) -> Result<Self, TextError> {
        json::read(path).map(Self::new)
    }

    /// The tokenizer inside a GGUF file's metadata (`tokenizer.ggml.*`).
    ///
    /// # Errors
    /// No tokenizer, one of a kind that is not supported, or a damaged one.
    pub fn from_gguf(metadata: &BTreeMap<String, MetaValue>) -> Result<Self, TextError> {
        gguf::build(metadata).map(Self::new)
    }

    fn new(parts: Parts) -> Self {
        let Parts { inner, bos, eos, adds_bos, kind, size, mut hasher } = parts;
        hasher.update(format!("\0{bos:?} {adds_bos}").as_bytes());
        Self { inner, bos, eos, adds_bos, kind, size, digest: hasher.finalize().to_hex().to_string() }
    }

    /// Token ids of `text`; no token is added at either end.
    ///
    /// # Errors
    /// A character that the tokenizer has no token for, or more white space in a row than can be split.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let run = longest_white_space(text);
        if run > MAX_WHITE_SPACE {
            return Err(TextError::new(TextErrorKind::Text, "too much white space in a row")
                .expected(format!("at most {MAX_WHITE_SPACE} characters"))
                .found(run.to_string())
                .hint("is this text? remove the padding"));
        }
        let encoding = self.inner.encode_fast(text, false).map_err(|e| {
            TextError::new(TextErrorKind::Text, "the tokenizer cannot encode the text").found(e.to_string())
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The largest token id, added tokens included, and one.
    pub fn vocab_size(&self) -> u64 {
        self.size
    }

    /// The token that begins a sequence.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token that ends a document.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether the model was trained with BOS at the start of every sequence: `add_bos_token` of tokenizer_config.json or
    /// of the GGUF file; without it what tokenizer.json puts in front of a text, or what llama.cpp takes for the kind of GGUF tokenizer.
    pub fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// For display: `tokenizer.json (BPE)`, `GGUF gpt2/smollm`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Digest of everything that decides about tokens.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Checks that a model with `model_vocab` rows in its embedding knows every token. A larger embedding is padding.
    ///
    /// # Errors
    /// A tokenizer with more tokens than the model.
    pub fn check_vocabulary(&self, model_vocab: u64) -> Result<(), TextError> {
        if self.size <= model_vocab {
            return Ok(());
        }
        Err(TextError::new(TextErrorKind::Vocabulary, "the tokenizer does not match the model's vocabulary")
            .expected(format!("token ids below {model_vocab}, the rows of the model's embedding"))
            .found(format!("ids up to {} ({})", self.size - 1, self.kind))
            .hint("the tokenizer belongs to another model; take the one that came with this checkpoint"))
    }

    /// Whether every ordinary token of a GGUF vocabulary has the same id here.
    fn has_tokens_of(&self, metadata: &BTreeMap<String, MetaValue>) -> bool {
        let Some(MetaValue::Array(tokens)) = metadata.get("tokenizer.ggml.tokens") else { return false };
        let types = match metadata.get("tokenizer.ggml.token_type") {
            Some(MetaValue::Array(types)) => types.as_slice(),
            _ => &[],
        };
        let normal = |id: usize| matches!(types.get(id), None | Some(MetaValue::Signed(1) | MetaValue::Unsigned(1)));
        let same = |(id, token): (u32, &MetaValue)| match token {
            MetaValue::Text(text) if normal(id as usize) => self.inner.token_to_id(text) == Some(id),
            _ => true,
        };
        self.size >= tokens.len() as u64 && (0u32..).zip(tokens).all(same)
    }

    /// BOS and EOS from `config.json` where the tokenizer's own files name none.
    fn fill_from_config(&mut self, config: &serde_json::Value) {
        let id = |key: &str| {
            let value = config.get(key)?;
            let number = value.as_u64().or_else(|| value.get(0)?.as_u64())?;
            u32::try_from(number).ok().filter(|&id| u64::from(id) < self.size)
        };
        let (bos, eos) = (id("bos_token_id"), id("eos_token_id"));
        self.bos = self.bos.or(bos);
        self.eos = self.eos.or(eos);
    }
}

fn longest_white_space(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c.is_whitespace() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
