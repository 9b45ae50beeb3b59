//! A checkpoint in memory, and the committed fixtures as such.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use half::bf16;
use serde_json::Value;
use tomo_checkpoint::{Config, DType, Error, ErrorKind, Format, Source, TensorInfo};
use tomo_model::{Model, ModelError, OpenOptions};

/// Tensors by name: shape and row-major values.
pub(crate) type Tensors = BTreeMap<String, (Vec<u64>, Vec<f32>)>;

/// A checkpoint in memory that refuses what a real one refuses.
pub(crate) struct TestSource {
    infos: Vec<TensorInfo>,
    data: Tensors,
    config: Config,
    pub(crate) released: Mutex<Vec<(String, Range<u64>)>>,
}

impl TestSource {
    pub(crate) fn new(data: Tensors, config: Config) -> Self {
        let infos = data.iter().map(|(name, (shape, _))| info(name, shape, DType::F32)).collect();
        Self { infos, data, config, released: Mutex::default() }
    }

    /// Claims that `name` is stored as `dtype`; values stay what they are.
    pub(crate) fn with_dtype(mut self, name: &str, dtype: DType) -> Self {
        let entry = self.infos.iter_mut().find(|t| t.name == name).unwrap();
        *entry = info(name, &entry.shape.clone(), dtype);
        self
    }

    pub(crate) fn open(self) -> Result<Model, ModelError> {
        self.open_with(&[])
    }

    pub(crate) fn open_with(self, cells: &[&str]) -> Result<Model, ModelError> {
        let cell_overrides = cells.iter().map(|c| c.parse()).collect::<Result<_, _>>()?;
        Model::open(Arc::new(self), &OpenOptions { cell_overrides, ..OpenOptions::default() })
    }
}

fn info(name: &str, shape: &[u64], dtype: DType) -> TensorInfo {
    let numel: u64 = shape.iter().product();
    let bytes = numel.div_ceil(dtype.block_elements() as u64) * dtype.block_bytes() as u64;
    TensorInfo { name: name.to_owned(), dtype, shape: shape.to_vec(), bytes }
}

impl Source for TestSource {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn format(&self) -> Format {
        if matches!(self.config, Config::Gguf(_)) { Format::Gguf } else { Format::Safetensors }
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn decode(&self, name: &str, range: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        let refuse = |what: &str| Error::new(ErrorKind::Malformed, what).in_tensor(name);
        let tensor = self.tensor(name).ok_or_else(|| refuse("no such tensor"))?;
        let block = tensor.dtype.block_elements() as u64;
        if !range.start.is_multiple_of(block) || !range.end.is_multiple_of(block) {
            return Err(refuse("range is not on a block boundary"));
        }
        let (start, end) = (range.start as usize, range.end as usize);
        let values = self.data[name].1.get(start..end).ok_or_else(|| refuse("range is outside the tensor"))?;
        if values.len() != out.len() {
            return Err(refuse("buffer has another length"));
        }
        out.copy_from_slice(values);
        Ok(())
    }

    fn release(&self, name: &str, range: Range<u64>) {
        self.released.lock().unwrap().push((name.to_owned(), range));
    }

    fn digest(&self) -> Result<String, Error> {
        Ok(String::new())
    }
}

/// One committed case of `tools/reference/families.py`.
pub(crate) struct Fixture {
    pub(crate) case: String,
    pub(crate) record: Value,
    pub(crate) tensors: Tensors,
    pub(crate) config: Value,
    /// Matrices that transformers' forward pass uses and no tensor holds as such, by `L0.attn.q`.
    pub(crate) cells: Tensors,
}

impl Fixture {
    pub(crate) fn read(case: &str) -> Self {
        let folder = fixtures().join("parity").join(case);
        Self {
            case: case.to_owned(),
            record: json(&fixtures().join("names").join(format!("{case}.json"))),
            tensors: read_safetensors(&folder.join("model.safetensors")),
            config: json(&folder.join("config.json")),
            cells: match folder.join("cells.safetensors") {
                path if path.exists() => read_safetensors(&path),
                _ => Tensors::new(),
            },
        }
    }

    pub(crate) fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(fixtures().join("names")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
        names.sort();
        names.iter().map(|path| Self::read(path.file_stem().unwrap().to_str().unwrap())).collect()
    }

    pub(crate) fn source(&self) -> TestSource {
        TestSource::new(self.tensors.clone(), Config::HuggingFace(self.config.clone()))
    }

    pub(crate) fn bare_source(&self) -> TestSource {
        TestSource::new(self.tensors.clone(), Config::Absent)
    }

    pub(crate) fn family(&self) -> &str {
        self.record["family"].as_str().unwrap()
    }

    pub(crate) fn dim(&self, name: &str) -> Option<u64> {
        self.record["dims"][name].as_u64()
    }

    /// What each cell must be, by `L0.attn.q` or `L0.mlp.up[2]`: shape and values.
    pub(crate) fn expected(&self) -> Tensors {
        let plain = self.record["cells"].as_object().unwrap().iter();
        let plain = plain.map(|(cell, name)| (cell.clone(), self.tensors[name.as_str().unwrap()].clone()));
        plain.chain(self.cells.clone()).collect()
    }
}

/// Every cell of `model` by name: shape and values.
pub(crate) fn loaded(model: &Model) -> Tensors {
    let mut buffer = Vec::new();
    let cells = model.cells().iter().enumerate().map(|(index, cell)| {
        // Leftovers of the cell before must not shine through.
        buffer.fill(f32::NAN);
        model.load(index, &mut buffer).unwrap();
        (cell.id.to_string(), (vec![cell.out_features, cell.in_features], buffer.clone()))
    });
    cells.collect()
}

/// Fails at the first cell that differs in name, shape or any bit.
pub(crate) fn assert_same_cells(case: &str, found: &Tensors, expected: &Tensors) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
    for (cell, (shape, values)) in expected {
        let (found_shape, found_values) = &found[cell];
        assert_eq!(found_shape, shape, "{case} {cell}");
        let same = values.iter().zip(found_values).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same && values.len() == found_values.len(), "{case} {cell} has other values");
    }
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn read_safetensors(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut out = Tensors::new();
    for (name, view) in file.tensors() {
        let pairs = view.data().chunks_exact(2);
        let values = match view.dtype() {
            safetensors::Dtype::BF16 => pairs.map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32() + 0.0).collect(),
            safetensors::Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            other => panic!("{name} is {other:?}"),
        };
        out.insert(name, (view.shape().iter().map(|d| *d as u64).collect(), values));
    }
    out
}
