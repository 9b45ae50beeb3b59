use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use crate::text::thousands;
use crate::{TextError, TextErrorKind};

/// More bytes of token ids than anybody runs a model on; keeps a wrong file from filling memory.
const MAX_JSON_BYTES: u64 = 1 << 30;

/// The sequences of token ids that a model is run on, each at least two tokens long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Windows {
    /// Token ids, one list per sequence.
    pub sequences: Vec<Vec<u32>>,
    /// What the user should know about the choice: too little text, a sequence that is shorter than asked for.
    pub notes: Vec<String>,
    /// For display: how much of which text, chosen how. Safe for a terminal.
    pub description: String,
}

impl Windows {
    /// Tokens in all sequences.
    pub fn tokens(&self) -> u64 {
        self.sequences.iter().map(|s| s.len() as u64).sum()
    }

    /// Tokens of the longest sequence.
    pub fn longest(&self) -> usize {
        self.sequences.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Digest of the exact token ids.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tomograph.windows/1\0");
        for sequence in &self.sequences {
            hasher.update(&(sequence.len() as u64).to_le_bytes());
            for id in sequence {
                hasher.update(&id.to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Writes the token ids as a JSON array of arrays, a sequence per line.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_json(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut line = String::new();
        for (index, sequence) in self.sequences.iter().enumerate() {
            line.clear();
            line.push_str(if index == 0 { "[\n[" } else { ",\n[" });
            for (place, id) in sequence.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                // Writing to a string cannot fail.
                let _ = write!(line, "{comma}{id}");
            }
            line.push(']');
            out.write_all(line.as_bytes())?;
        }
        out.write_all(if self.sequences.is_empty() { b"[]\n" } else { b"\n]\n" })?;
        out.flush()
    }

    /// Reads what [`write_json`](Self::write_json) wrote, or any JSON array of arrays of token ids.
    ///
    /// # Errors
    /// A file that cannot be read, is no array of arrays of integers from 0 to 2^32 - 1 (with line and column), or has no
    /// sequence, or one of fewer than two tokens.
    pub fn read_json(path: &Path) -> Result<Self, TextError> {
        let io = |e| TextError::io("cannot read token ids", path, e);
        let length = std::fs::metadata(path).map_err(io)?.len();
        if length > MAX_JSON_BYTES {
            return Err(wrong("the file of token ids is too large")
                .in_file(path)
                .expected(format!("at most {} bytes", thousands(MAX_JSON_BYTES)))
                .found(format!("{} bytes", thousands(length))));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let mut windows = Self::parse(&bytes).map_err(|e| e.in_file(path))?;
        windows.description = format!("{} from {}", windows.description, crate::text::name(path));
        Ok(windows)
    }

    fn parse(bytes: &[u8]) -> Result<Self, TextError> {
        let sequences: Vec<Vec<u32>> = serde_json::from_slice(bytes).map_err(|e| {
            wrong("the file is not a list of token ids")
                .at(format!("line {}, column {}", e.line(), e.column()))
                .expected("a JSON array of arrays of integers from 0 to 4294967295, such as [[1,2,3],[4,5,6]]")
                .found(e.to_string())
        })?;
        if sequences.is_empty() {
            return Err(wrong("the file has no sequence").expected("at least one array of token ids").found("[]"));
        }
        if let Some((index, short)) = sequences.iter().enumerate().find(|(_, s)| s.len() < 2) {
            return Err(wrong("a sequence is too short to predict anything")
                .at(format!("sequence {index} (the first is 0)"))
                .expected("at least 2 tokens")
                .found(short.len().to_string()));
        }
        let mut windows = Self { sequences, notes: Vec::new(), description: String::new() };
        windows.description = windows.counts();
        Ok(windows)
    }

    /// "8,192 tokens in 16 windows of 512".
    pub(crate) fn counts(&self) -> String {
        let (shortest, longest) = (self.sequences.iter().map(Vec::len).min().unwrap_or(0), self.longest());
        let of = if shortest == longest {
            thousands(longest as u64)
        } else {
            format!("{} to {}", thousands(shortest as u64), thousands(longest as u64))
        };
        let windows = if self.sequences.len() == 1 { "window" } else { "windows" };
        format!("{} tokens in {} {windows} of {of}", thousands(self.tokens()), thousands(self.sequences.len() as u64))
    }

    /// Checks that a model with `model_vocab` rows in its embedding knows every token.
    ///
    /// # Errors
    /// An id that is too large, with its place.
    pub fn check_vocabulary(&self, model_vocab: u64) -> Result<(), TextError> {
        for (index, sequence) in self.sequences.iter().enumerate() {
            if let Some((place, id)) = sequence.iter().enumerate().find(|&(_, &id)| u64::from(id) >= model_vocab) {
                return Err(TextError::new(TextErrorKind::Vocabulary, "a token id is not in the model's vocabulary")
                    .at(format!("token {place} of sequence {index} (the first is 0)"))
                    .expected(format!("an id below {model_vocab}, the rows of the model's embedding"))
                    .found(id.to_string())
                    .hint("the token ids were made with another model's tokenizer"));
            }
        }
        Ok(())
    }
}

fn wrong(what: &str) -> TextError {
    TextError::new(TextErrorKind::Malformed, what).hint("write such a file with --save-token-ids to see the format")
}
