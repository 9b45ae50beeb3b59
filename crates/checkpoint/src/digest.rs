//! A digest that identifies a checkpoint without reading all of it.

use std::ops::Range;

use blake3::Hasher;

use crate::{Config, MetaValue, TensorInfo};

/// Bytes of a piece of a tensor.
const PIECE_BYTES: usize = 4096;

/// Pieces of a whole checkpoint: 16 MiB, so that a checkpoint of any size is identified in well under a second.
const PIECES: usize = 4096;

/// Pieces of one tensor at most.
const MAX_PIECES_PER_TENSOR: usize = 16;

/// Digest over names, types, shapes and sampled bytes of tensors, which must come sorted by name.
pub(crate) struct TensorDigest {
    hasher: Hasher,
    pieces_per_tensor: usize,
    /// With very many tensors, every n-th gives pieces; names, types and shapes of all count.
    every: usize,
}

impl TensorDigest {
    /// For a checkpoint of `count` tensors.
    pub(crate) fn new(count: usize) -> Self {
        let pieces_per_tensor = (PIECES / count.max(1)).clamp(2, MAX_PIECES_PER_TENSOR);
        let every = (count * pieces_per_tensor).div_ceil(PIECES).max(1);
        let hasher = Hasher::new_derive_key("tomograph checkpoint sampled digest, version 1");
        Self { hasher, pieces_per_tensor, every }
    }

    /// The parts of a tensor of `length` bytes, the `index`-th by name, that are read: all of a small tensor; of a large one
    /// its first, its last and evenly spaced pieces; nothing of a tensor that is passed over.
    pub(crate) fn pieces(&self, index: usize, length: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let is_whole = length <= self.pieces_per_tensor * PIECE_BYTES;
        let (count, size) = if is_whole { (1, length) } else { (self.pieces_per_tensor, PIECE_BYTES) };
        let count = if index.is_multiple_of(self.every) { count } else { 0 };
        let last_start = length - size;
        (0..count).map(move |piece| {
            // In u128 because a tensor's bytes times a small count may pass 2^64.
            let start = (last_start as u128 * piece as u128 / (count - 1).max(1) as u128) as usize;
            start..start + size
        })
    }

    /// Adds a tensor and what its [pieces](Self::pieces) hold.
    pub(crate) fn add<'p>(&mut self, info: &TensorInfo, pieces: impl Iterator<Item = &'p [u8]>) {
        let hasher = &mut self.hasher;
        text(hasher, &info.name);
        text(hasher, info.dtype.name());
        number(hasher, info.shape.len() as u64);
        info.shape.iter().for_each(|&dim| number(hasher, dim));
        for piece in pieces {
            hasher.update(piece);
        }
    }

    pub(crate) fn finish(self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

fn number(hasher: &mut Hasher, n: u64) {
    hasher.update(&n.to_le_bytes());
}

fn text(hasher: &mut Hasher, text: &str) {
    number(hasher, text.len() as u64);
    hasher.update(text.as_bytes());
}

/// Digest of a configuration, whatever the order of its keys and its white space; `None` if there is none.
pub fn config_digest(config: &Config) -> Option<String> {
    let mut hasher = Hasher::new_derive_key("tomograph configuration digest, version 1");
    match config {
        Config::Absent => return None,
        Config::HuggingFace(value) => json(&mut hasher, value),
        Config::Gguf(entries) => entries.iter().for_each(|(key, value)| {
            text(&mut hasher, key);
            meta(&mut hasher, value);
        }),
    }
    Some(hasher.finalize().to_hex().to_string())
}

fn json(hasher: &mut Hasher, value: &serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Null => drop(hasher.update(b"n")),
        Value::Bool(b) => drop(hasher.update(if *b { b"t" } else { b"f" })),
        Value::Number(n) => {
            hasher.update(b"#");
            text(hasher, &n.to_string());
        }
        Value::String(s) => {
            hasher.update(b"s");
            text(hasher, s);
        }
        Value::Array(items) => {
            hasher.update(b"a");
            number(hasher, items.len() as u64);
            items.iter().for_each(|item| json(hasher, item));
        }
        Value::Object(entries) => {
            hasher.update(b"o");
            number(hasher, entries.len() as u64);
            // A crate elsewhere in a build may switch serde_json to file order.
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in sorted {
                text(hasher, key);
                json(hasher, value);
            }
        }
    }
}

fn meta(hasher: &mut Hasher, value: &MetaValue) {
    match value {
        MetaValue::Unsigned(n) => drop(hasher.update(b"u").update(&n.to_le_bytes())),
        MetaValue::Signed(n) => drop(hasher.update(b"i").update(&n.to_le_bytes())),
        MetaValue::Float(x) => drop(hasher.update(b"d").update(&x.to_bits().to_le_bytes())),
        MetaValue::Bool(b) => drop(hasher.update(if *b { b"t" } else { b"f" })),
        MetaValue::Text(s) => {
            hasher.update(b"s");
            text(hasher, s);
        }
        MetaValue::Array(items) => {
            hasher.update(b"a");
            number(hasher, items.len() as u64);
            items.iter().for_each(|item| meta(hasher, item));
        }
    }
}
