use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{DType, Error, GgufMetadata};

/// One tensor of a checkpoint; its data stays on disk until [`Source::decode`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TensorInfo {
    /// Name in the checkpoint's own dialect.
    pub name: String,
    /// Storage type.
    pub dtype: DType,
    /// Dimensions, slowest first (row-major), whatever order the file uses: a weight is `[out, in]`.
    pub shape: Vec<u64>,
    /// Bytes on disk.
    pub bytes: u64,
}

impl TensorInfo {
    /// Number of elements. Cannot overflow: checked when the file was opened.
    pub fn numel(&self) -> u64 {
        self.shape.iter().product()
    }
}

/// Container format of a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Format {
    /// One safetensors file, bare or in a folder.
    Safetensors,
    /// Several safetensors files with an index.
    ShardedSafetensors,
    /// GGUF version 2 or 3.
    Gguf,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors",
            Self::ShardedSafetensors => "sharded safetensors",
            Self::Gguf => "gguf",
        })
    }
}

/// A GGUF metadata value. Arrays of numbers and strings (vocabularies) are kept as they are.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum MetaValue {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<MetaValue>),
}

/// The model's own description of itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Config {
    /// `config.json` of a Hugging Face folder (or the one beside a bare safetensors file).
    HuggingFace(serde_json::Value),
    /// Metadata of a GGUF file, by key.
    Gguf(BTreeMap<String, MetaValue>),
    /// A bare safetensors file.
    Absent,
}

/// What was fetched for a checkpoint that is elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fetched {
    /// Bytes of answers, without their headers; what was asked for again counts again.
    pub bytes: u64,
    /// Requests that were answered.
    pub requests: u64,
}

/// The folder of a path: itself where it is one, else the one it lies in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    folder.to_owned()
}

/// A checkpoint, opened. Nothing is decoded until asked for; one implementation per container format.
pub trait Source: Send + Sync {
    /// The path, or the address, it was opened from.
    fn path(&self) -> &Path;

    /// The files that hold its tensors: of one cut into parts, all of them.
    fn files(&self) -> Vec<&Path> {
        vec![self.path()]
    }

    /// Container format.
    fn format(&self) -> Format;

    /// Every tensor, sorted by name.
    fn tensors(&self) -> &[TensorInfo];

    /// The model's configuration.
    fn config(&self) -> &Config;

    /// Decodes elements `range` (row-major order) of tensor `name` into `out`.
    ///
    /// # Errors
    /// An unknown tensor, an integer type, a range outside the tensor, a range that does not start and end on a block
    /// boundary of the type, or `out.len() != range.len()`.
    fn decode(&self, name: &str, range: Range<u64>, out: &mut [f32]) -> Result<(), Error>;

    /// Copies the stored bytes of elements `range` (row-major order) of tensor `name` into `out`, which is resized to fit, past
    /// the map: for readers that pass over a tensor once, to whom mapping its pages would cost as much as the copy. Of any type,
    /// also of those that cannot be decoded. Whether it could: a source that holds no stored bytes says no.
    ///
    /// # Errors
    /// An unknown tensor, a range outside it or not on block boundaries of its type; and when the file cannot be read any more.
    fn read(&self, name: &str, range: Range<u64>, out: &mut Vec<u8>) -> Result<bool, Error> {
        let _ = (name, range, out);
        Ok(false)
    }

    /// The metadata of a GGUF file as it is stored; of a split file, that of its first part. Of other formats `None`.
    ///
    /// # Errors
    /// When the file has changed since it was opened.
    fn gguf_metadata(&self) -> Result<Option<GgufMetadata>, Error> {
        Ok(None)
    }

    /// Says that `range` of tensor `name` will not be needed soon, so that its pages can leave memory. A hint.
    fn release(&self, name: &str, range: Range<u64>) {
        let _ = (name, range);
    }

    /// Says that `range` of tensor `name` will be decoded soon, so that it can be on its way. A hint.
    fn prefetch(&self, name: &str, range: Range<u64>) {
        let _ = (name, range);
    }

    /// The folder of this machine where the files are that belong to the checkpoint and hold no tensors: those of its tokenizer.
    /// Of a checkpoint that is elsewhere they are fetched when this is called for the first time.
    ///
    /// # Errors
    /// When they cannot be fetched or kept.
    fn companions(&self) -> Result<PathBuf, Error> {
        Ok(folder_of(self.path()))
    }

    /// Says how much memory may be taken by what was fetched and may be needed again, of a checkpoint that is elsewhere. A hint.
    fn hold_at_most(&self, bytes: u64) {
        let _ = bytes;
    }

    /// What was fetched so far, of a checkpoint that is elsewhere.
    fn fetched(&self) -> Option<Fetched> {
        None
    }

    /// Cheap, stable digest of the contents: equal for the same tensors in one file or in shards.
    ///
    /// # Errors
    /// When sampled bytes cannot be read.
    fn digest(&self) -> Result<String, Error>;

    /// The tensor called `name`.
    fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let all = self.tensors();
        all.binary_search_by(|t| t.name.as_str().cmp(name)).ok().map(|i| &all[i])
    }
}
