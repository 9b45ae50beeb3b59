//! Metadata of GGUF files to the byte, for those who write a file with what another one says of itself.

use crate::Error;
use crate::formats::gguf::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, check_alignment};
use crate::write::GgufValue;

/// A metadata entry of a GGUF file: its key, and its value as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GgufEntry {
    key: String,
    /// `enum gguf_type`.
    kind: u32,
    /// Of an array: type and length of its values too.
    value: Vec<u8>,
}

impl GgufEntry {
    /// An entry of one's own.
    pub fn new(key: impl Into<String>, value: impl Into<GgufValue>) -> Self {
        let value = value.into();
        let mut stored = Vec::new();
        value.write(&mut stored);
        Self { key: key.into(), kind: value.type_id(), value: stored }
    }

    /// An entry that was read and checked.
    pub(crate) fn stored_as(key: String, kind: u32, value: Vec<u8>) -> Self {
        Self { key, kind, value }
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The number of its type (`enum gguf_type`).
    pub fn type_id(&self) -> u32 {
        self.kind
    }

    /// The bytes of its value; of an array they begin with type and number of its values.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Bytes that it takes in a file: length of the key, key, type, value.
    pub fn bytes(&self) -> u64 {
        8 + self.key.len() as u64 + 4 + self.value.len() as u64
    }

    /// The value, where it is an unsigned integer of any width.
    pub fn unsigned(&self) -> Option<u64> {
        let wide = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        matches!(self.kind, 0 | 2 | 4 | 10).then(|| wide(&self.value))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend((self.key.len() as u64).to_le_bytes());
        out.extend(self.key.as_bytes());
        out.extend(self.kind.to_le_bytes());
        out.extend(&self.value);
    }
}

/// All that a GGUF file says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GgufMetadata {
    /// Every entry, in the file's order; no key occurs twice.
    pub entries: Vec<GgufEntry>,
    /// Tensors start at multiples of so many bytes.
    pub alignment: u64,
}

impl GgufMetadata {
    pub(crate) fn new(entries: Vec<GgufEntry>) -> Result<Self, Error> {
        let alignment = entries.iter().find(|entry| entry.key == ALIGNMENT_KEY).and_then(GgufEntry::unsigned);
        Ok(Self { alignment: check_alignment(alignment.unwrap_or(DEFAULT_ALIGNMENT))?, entries })
    }
}
