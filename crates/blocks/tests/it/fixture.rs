//! `fixtures/blocks`, as `tools/reference/blocks.py` wrote it.

use std::path::PathBuf;

use safetensors::SafeTensors;

pub(crate) struct Fixture(Vec<u8>);

impl Fixture {
    pub(crate) fn read(path: &str) -> Self {
        Self(std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)).unwrap())
    }

    pub(crate) fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }
}

pub(crate) fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    tensors.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// One set of rows and what importances its columns have.
pub(crate) struct Rows {
    pub(crate) name: &'static str,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) importance: Vec<f32>,
}

impl Rows {
    pub(crate) fn all(tensors: &SafeTensors<'_>) -> Vec<Self> {
        let of = |name: &'static str| Self {
            name,
            columns: tensors.tensor(name).unwrap().shape()[1],
            values: floats(tensors, name),
            importance: floats(tensors, &format!("{name}.importance")),
        };
        vec![of("wide"), of("narrow")]
    }
}
