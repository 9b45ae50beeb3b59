//! A checkpoint without its weights: what a model is recognised by.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tomo_checkpoint::{Config, Error, ErrorKind, Format, MetaValue, Source, TensorInfo};

/// Arrays of a GGUF file's metadata that are longer are vocabularies; of those only the length is kept.
const LONGEST_ARRAY: usize = 4096;

/// Tensors that belong to the arithmetic and not to the weights: factors of rotary frequencies.
const OF_ARITHMETIC: &str = "rope_";

/// The configuration and the names, types and shapes of all tensors: enough to open a [`tomo_model::Model`] with the same cells.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Skeleton {
    path: PathBuf,
    format: Format,
    config: Config,
    tensors: Vec<TensorInfo>,
    digest: String,
    /// Lengths of arrays that were left out.
    emptied: BTreeMap<String, usize>,
    /// Tensors of the arithmetic.
    values: BTreeMap<String, Vec<f32>>,
}

impl Skeleton {
    /// That of a checkpoint with this digest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of(source: &dyn Source, digest: &str) -> Result<Self, Error> {
        let mut emptied = BTreeMap::new();
        let mut config = source.config().clone();
        if let Config::Gguf(entries) = &mut config {
            for (key, value) in entries {
                if let MetaValue::Array(items) = value
                    && items.len() > LONGEST_ARRAY
                {
                    emptied.insert(key.clone(), items.len());
                    *items = Vec::new();
                }
            }
        }
        let mut values = BTreeMap::new();
        for tensor in source.tensors().iter().filter(|t| t.name.starts_with(OF_ARITHMETIC)) {
            let mut decoded = vec![0.0; usize::try_from(tensor.numel()).unwrap_or(0)];
            source.decode(&tensor.name, 0..tensor.numel(), &mut decoded)?;
            values.insert(tensor.name.clone(), decoded);
        }
        Ok(Self {
            path: source.path().to_owned(),
            format: source.format(),
            config,
            tensors: source.tensors().to_vec(),
            digest: digest.to_owned(),
            emptied,
            values,
        })
    }

    /// Whether it is the same checkpoint, wherever it lies.
    pub(crate) fn is_same_checkpoint(&self, other: &Self) -> bool {
        let contents = |s: &Self| (s.format, s.digest.clone(), s.emptied.clone());
        contents(self) == contents(other) && self.config == other.config && self.tensors == other.tensors
    }

    /// As a checkpoint, whose weights cannot be read.
    pub(crate) fn source(mut self) -> Arc<dyn Source> {
        if let Config::Gguf(entries) = &mut self.config {
            for (key, length) in &self.emptied {
                // Whoever reads the metadata of a stranger's part does not allocate what it says.
                let length = (*length).min(1 << 20);
                entries.insert(key.clone(), MetaValue::Array(vec![MetaValue::Bool(false); length]));
            }
        }
        Arc::new(self)
    }
}

impl Source for Skeleton {
    fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> Format {
        self.format
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn decode(&self, name: &str, range: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        let kept = self
            .values
            .get(name)
            .and_then(|values| values.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?));
        match kept {
            Some(values) if values.len() == out.len() => {
                out.copy_from_slice(values);
                Ok(())
            }
            _ => Err(Error::new(ErrorKind::Missing, "a part of a scan holds no weights").in_tensor(name)),
        }
    }

    fn digest(&self) -> Result<String, Error> {
        Ok(self.digest.clone())
    }
}
