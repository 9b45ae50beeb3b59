//! The hub client against a server on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic in a test's own tools is its failure report too

mod fetching;
mod hostile;
#[path = "../loopback.rs"]
mod loopback;
mod options;
mod resuming;
mod selecting;
mod server;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tomo_checkpoint::hub::{HubOptions, HubProgress, fetch};
use tomo_checkpoint::{Error, ErrorKind};

use server::Hub;

/// A cache, and options that speak to `hub`.
struct Client {
    cache: TempDir,
    options: HubOptions,
}

impl Client {
    fn new(hub: &Hub) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let mut options = HubOptions::new(cache.path().to_owned());
        options.endpoint = hub.home.url.clone();
        options.retries = 0;
        options.retry_delay = Duration::ZERO;
        Self { cache, options }
    }

    fn with(mut self, change: impl Fn(&mut HubOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn fetch(&self, spec: &str) -> Result<PathBuf, Error> {
        fetch(spec, &self.options, &())
    }

    /// The message of the error that `spec` gives.
    fn refusal(&self, spec: &str, kind: ErrorKind) -> String {
        let error = self.fetch(spec).expect_err(spec);
        assert_eq!(error.kind(), kind, "{error}");
        error.to_string()
    }

    fn repo(&self) -> PathBuf {
        self.cache.path().join("models--org--name")
    }

    /// Every file and link below the cache, without the locks, as paths relative to the repository.
    fn files(&self) -> Vec<String> {
        let mut all = Vec::new();
        walk(self.cache.path(), &mut all);
        let relative = |p: PathBuf| p.strip_prefix(self.repo()).unwrap_or(&p).to_str().unwrap().to_owned();
        let mut names: Vec<_> =
            all.into_iter().filter(|p| p.extension().is_none_or(|e| e != "lock")).map(relative).collect();
        names.sort();
        names
    }
}

fn walk(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() { walk(&entry.path(), all) } else { all.push(entry.path()) }
    }
}

/// Writes down what it hears.
#[derive(Default)]
struct Heard {
    started: RefCell<Vec<(usize, u64)>>,
    files: RefCell<Vec<(String, u64, u64)>>,
    reached: RefCell<Vec<u64>>,
    notes: RefCell<Vec<String>>,
    cancel_after: Option<usize>,
}

impl HubProgress for Heard {
    fn started(&self, files: usize, bytes: u64) {
        self.started.borrow_mut().push((files, bytes));
    }

    fn file(&self, name: &str, bytes: u64, bytes_done: u64) {
        self.files.borrow_mut().push((name.to_owned(), bytes, bytes_done));
    }

    fn reached(&self, bytes: u64) {
        self.reached.borrow_mut().push(bytes);
    }

    fn note(&self, text: &str) {
        self.notes.borrow_mut().push(text.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        self.cancel_after.is_some_and(|n| self.reached.borrow().len() >= n)
    }
}
