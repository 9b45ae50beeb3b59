use std::collections::BTreeMap;

use tomo_checkpoint::MetaValue;

use crate::{TextError, TextErrorKind};

/// Longest token that is accepted, in bytes. Real ones stay below 600; the trie of a unigram model is as deep as its longest
/// token, and dropping it recurses that deep.
pub(super) const MAX_TOKEN_BYTES: usize = 8192;

/// What a token is for (`enum llama_token_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TokenType {
    Normal,
    Unknown,
    Control,
    UserDefined,
    /// Marked as unused, or of a type nobody has defined.
    Unused,
    Byte,
}

/// The tokenizer's metadata of a GGUF file, checked: every array as long as the vocabulary, every id inside it.
pub(super) struct Metadata<'a> {
    entries: &'a BTreeMap<String, MetaValue>,
    /// By id.
    pub(super) tokens: Vec<&'a str>,
    /// By id.
    pub(super) types: Vec<TokenType>,
    /// By id.
    pub(super) scores: Option<Vec<f64>>,
    pub(super) merges: Option<Vec<&'a str>>,
}

const TOKENS: &str = "tokenizer.ggml.tokens";

impl<'a> Metadata<'a> {
    pub(super) fn read(entries: &'a BTreeMap<String, MetaValue>) -> Result<Self, TextError> {
        let mut this = Self { entries, tokens: Vec::new(), types: Vec::new(), scores: None, merges: None };
        this.tokens = this.array(TOKENS, text)?.ok_or_else(|| {
            TextError::new(TextErrorKind::Missing, "the file has no vocabulary")
                .at(TOKENS)
                .hint("put the model's tokenizer.json beside the file, or take a GGUF file that has a tokenizer")
        })?;
        this.check_tokens()?;
        let count = this.tokens.len();
        this.types = match this.array("tokenizer.ggml.token_type", token_type)? {
            Some(types) => same_length(types, count, "tokenizer.ggml.token_type")?,
            None => vec![TokenType::Normal; count],
        };
        this.scores = match this.array("tokenizer.ggml.scores", number)? {
            Some(scores) => Some(same_length(scores, count, "tokenizer.ggml.scores")?),
            None => None,
        };
        this.merges = this.array("tokenizer.ggml.merges", text)?;
        Ok(this)
    }

    fn check_tokens(&self) -> Result<(), TextError> {
        if self.tokens.is_empty() || u32::try_from(self.tokens.len()).is_err() {
            return Err(damaged("the vocabulary cannot be used", TOKENS)
                .expected("from 1 to 2^32 tokens")
                .found(self.tokens.len().to_string()));
        }
        if let Some((id, token)) = self.tokens.iter().enumerate().find(|(_, t)| t.len() > MAX_TOKEN_BYTES) {
            return Err(damaged(format!("token {id} is too long"), TOKENS)
                .expected(format!("at most {MAX_TOKEN_BYTES} bytes"))
                .found(format!("{} bytes", token.len())));
        }
        let mut sorted: Vec<_> = self.tokens.iter().enumerate().filter(|(_, t)| !t.is_empty()).collect();
        sorted.sort_unstable_by_key(|&(id, token)| (token, id));
        let twice = sorted.windows(2).find(|pair| pair[0].1 == pair[1].1);
        match twice {
            Some([(a, token), (b, _)]) => Err(damaged("two tokens have the same text", TOKENS)
                .expected("every token once")
                .found(format!("{token:?} as {a} and as {b}"))),
            _ => Ok(()),
        }
    }

    /// The text under `key`.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, TextError> {
        self.entries.get(key).map(|v| text(v).ok_or_else(|| wrong_type(key, "a text", v))).transpose()
    }

    /// The boolean under `key`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, TextError> {
        let read = |v: &MetaValue| match v {
            MetaValue::Bool(b) => Ok(*b),
            other => Err(wrong_type(key, "true or false", other)),
        };
        self.entries.get(key).map(read).transpose()
    }

    /// The token id under `key`; inside the vocabulary.
    pub(super) fn id(&self, key: &str) -> Result<Option<u32>, TextError> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let id = match value {
            MetaValue::Unsigned(id) => u32::try_from(*id).ok(),
            MetaValue::Signed(id) => u32::try_from(*id).ok(),
            _ => return Err(wrong_type(key, "a token id", value)),
        };
        match id.filter(|&id| (id as usize) < self.tokens.len()) {
            Some(id) => Ok(Some(id)),
            None => Err(damaged("a special token is not in the vocabulary", key)
                .expected(format!("an id below {}", self.tokens.len()))
                .found(shown(value))),
        }
    }

    /// The bytes under `key` (an array of 8-bit integers of either sign).
    pub(super) fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, TextError> {
        self.array(key, |v| match v {
            MetaValue::Unsigned(n) => u8::try_from(*n).ok(),
            MetaValue::Signed(n) => i8::try_from(*n).ok().map(i8::cast_unsigned),
            _ => None,
        })
    }

    /// Hashes every entry of the tokenizer but its chat template.
    pub(super) fn hash(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"gguf\0");
        for (key, value) in self.entries.iter().filter(|(key, _)| key.starts_with("tokenizer.ggml.")) {
            hasher.update(key.as_bytes()).update(b"\0");
            add(&mut hasher, value);
        }
        hasher
    }

    fn array<T>(&self, key: &str, item: fn(&'a MetaValue) -> Option<T>) -> Result<Option<Vec<T>>, TextError> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let MetaValue::Array(items) = value else { return Err(wrong_type(key, "an array", value)) };
        let read = |v| item(v).ok_or_else(|| wrong_type(key, "another type of item", v));
        items.iter().map(read).collect::<Result<_, _>>().map(Some)
    }
}

fn add(hasher: &mut blake3::Hasher, value: &MetaValue) {
    match value {
        MetaValue::Unsigned(n) => hasher.update(b"u").update(&n.to_le_bytes()),
        MetaValue::Signed(n) => hasher.update(b"i").update(&n.to_le_bytes()),
        MetaValue::Float(x) => hasher.update(b"f").update(&x.to_le_bytes()),
        MetaValue::Bool(b) => hasher.update(b"b").update(&[u8::from(*b)]),
        MetaValue::Text(text) => hasher.update(b"t").update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes()),
        MetaValue::Array(items) => {
            hasher.update(b"a").update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| add(hasher, item));
            hasher
        }
    };
}

/// An error in the metadata under `key`.
pub(super) fn damaged(what: impl Into<String>, key: &str) -> TextError {
    TextError::new(TextErrorKind::Malformed, what)
        .at(key)
        .hint("the file's tokenizer is damaged; fetch or convert it again, or put the model's tokenizer.json beside it")
}

fn wrong_type(key: &str, expected: &str, found: &MetaValue) -> TextError {
    damaged("tokenizer metadata of the wrong type", key).expected(expected).found(shown(found))
}

fn shown(value: &MetaValue) -> String {
    match value {
        MetaValue::Array(items) => format!("an array of {}", items.len()),
        other => format!("{other:?}"),
    }
}

fn same_length<T>(items: Vec<T>, count: usize, key: &str) -> Result<Vec<T>, TextError> {
    if items.len() == count {
        return Ok(items);
    }
    Err(damaged("an array does not have one value per token", key)
        .expected(format!("{count} values"))
        .found(items.len().to_string()))
}

fn text(value: &MetaValue) -> Option<&str> {
    match value {
        MetaValue::Text(text) => Some(text),
        _ => None,
    }
}

fn number(value: &MetaValue) -> Option<f64> {
    match value {
        MetaValue::Float(x) => Some(*x).filter(|x| x.is_finite()),
        MetaValue::Signed(n) => i32::try_from(*n).ok().map(f64::from),
        _ => None,
    }
}

fn token_type(value: &MetaValue) -> Option<TokenType> {
    let number = match value {
        MetaValue::Unsigned(n) => *n,
        MetaValue::Signed(n) => u64::try_from(*n).ok()?,
        _ => return None,
    };
    Some(match number {
        1 => TokenType::Normal,
        2 => TokenType::Unknown,
        3 => TokenType::Control,
        4 => TokenType::UserDefined,
        6 => TokenType::Byte,
        _ => TokenType::Unused,
    })
}
