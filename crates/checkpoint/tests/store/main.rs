//! Checkpoints in stores: a web server and an S3 on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic in a test's own tools is its failure report too

mod companions;
mod failing;
mod fetching;
#[path = "../loopback.rs"]
mod loopback;
mod reading;
mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use half::bf16;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;
use tomo_checkpoint::store::{StoreOptions, open};
use tomo_checkpoint::{Error, ErrorKind, Source};

use server::Bucket;

/// Options that speak to `bucket`, and a cache.
struct Client {
    cache: TempDir,
    options: StoreOptions,
}

impl Client {
    fn new(bucket: &Bucket) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::default();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        options.variables = vec![
            variable("AWS_ACCESS_KEY_ID", "somebody"),
            variable("AWS_SECRET_ACCESS_KEY", "secret"),
            variable("AWS_ENDPOINT_URL", &bucket.origin.url),
            variable("AWS_ALLOW_HTTP", "true"),
        ];
        options.cache_dir = Some(cache.path().to_owned());
        options.retries = 2;
        options.retry_delay = Duration::from_millis(1);
        Self { cache, options }
    }

    fn with(mut self, change: impl Fn(&mut StoreOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn open(&self, address: &str) -> Result<Arc<dyn Source>, Error> {
        open(Path::new(address), &self.options)
    }

    /// The message of the error that opening `address` gives.
    fn refusal(&self, address: &str, kind: ErrorKind) -> String {
        let error = self.open(address).err().expect(address);
        assert_eq!(error.kind(), kind, "{error}");
        error.to_string()
    }
}

/// A file of bf16 tensors whose entries count up, `[rows, 64]` each.
fn counting(tensors: &[(&str, usize)]) -> Vec<u8> {
    let stored = |rows: usize| -> Vec<u8> { (0..rows * 64).flat_map(|i| entry(i).to_le_bytes()).collect() };
    let all: Vec<_> = tensors.iter().map(|(name, rows)| (*name, *rows, stored(*rows))).collect();
    let view = |(name, rows, bytes): &'_ (&str, usize, Vec<u8>)| {
        ((*name).to_owned(), TensorView::new(Dtype::BF16, vec![*rows, 64], bytes).unwrap().data().to_vec(), *rows)
    };
    let owned: Vec<_> = all.iter().map(view).collect();
    let views = owned
        .iter()
        .map(|(name, bytes, rows)| (name.as_str(), TensorView::new(Dtype::BF16, vec![*rows, 64], bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// Whole numbers below 256 are exact in bf16.
fn entry(index: usize) -> bf16 {
    bf16::from_f32((index % 251) as f32)
}

/// All of tensor `name`, which must count up.
fn decode_counting(source: &dyn Source, name: &str) {
    let mut out = vec![f32::NAN; source.tensor(name).unwrap().numel() as usize];
    source.decode(name, 0..out.len() as u64, &mut out).unwrap();
    assert!(out.iter().enumerate().all(|(i, x)| *x == (i % 251) as f32), "{name}");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// The files of a folder, below `prefix`.
fn folder(path: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file());
    let name = |path: &PathBuf| format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
    entries.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}
