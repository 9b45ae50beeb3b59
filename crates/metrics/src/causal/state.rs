//! A scan that was ended, by whatever, and goes on where it was.
//!
//! One file, written beside its place and renamed after every round of the engine, so that it is always whole; what a round has
//! done until then is the engine's to keep, in a folder beside it.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::table::Table;

const MAGIC: &str = "tomograph.causal/1";
const NAME: &str = "measured.state";

/// Where a scan keeps what it knows, and what decides its results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keep {
    /// A folder of the scan alone; made where there is none. Whoever made the scan removes it when its results are safe.
    pub folder: PathBuf,
    /// All that decides the results: digests of model and tokens, metrics, options. What was left under another key is not
    /// used.
    pub key: String,
}

/// What a scan found where it keeps what it knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Nothing, or nowhere to look.
    Nothing,
    /// The state of another scan, or none that can be read: it will be overwritten.
    Other,
    /// So many of so many measurements, a changed model on a sequence each, of this scan.
    State {
        /// Those that are done.
        done: usize,
        /// Those that were decided upon.
        of: usize,
    },
}

/// What is known, and what is to be measured next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) table: Table,
    /// By metric and cell, how many sequences of the order it is to get.
    pub(crate) targets: Vec<Vec<usize>>,
}

impl State {
    /// Whether it can be gone on from in place of `fresh`: it is of as many of everything.
    pub(crate) fn is_like(&self, fresh: &Self) -> bool {
        let sizes = |state: &Self| state.targets.iter().map(Vec::len).collect::<Vec<_>>();
        self.table.is_like(&fresh.table) && sizes(self) == sizes(fresh)
    }
}

/// What could not be kept.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot keep what the scan knows\n  folder: {folder:?}\n  found: {source}\n  hint: free some room there; the same command goes on from what was saved"
)]
pub struct KeepError {
    folder: PathBuf,
    source: std::io::Error,
}

impl Keep {
    /// What an earlier scan left; the flag says whether there is a state at all.
    pub(crate) fn load(&self) -> (Option<State>, bool) {
        let Ok(bytes) = fs::read(self.folder.join(NAME)) else { return (None, false) };
        let read = || -> Option<State> {
            let ((magic, key), rest): ((&str, &str), _) = postcard::take_from_bytes(&bytes).ok()?;
            if magic != MAGIC || key != self.key {
                return None;
            }
            let (state, rest) = postcard::take_from_bytes(rest).ok()?;
            rest.is_empty().then_some(state)
        };
        (read(), true)
    }

    /// Leaves `state` in place of what was there.
    pub(crate) fn save(&self, state: &State) -> Result<(), KeepError> {
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let bytes = postcard::to_stdvec(&(MAGIC, &self.key, state)).map_err(std::io::Error::other)?;
            let beside = self.folder.join("measured.new");
            fs::write(&beside, bytes)?;
            fs::rename(beside, self.folder.join(NAME))
        };
        write().map_err(|source| KeepError { folder: self.folder.clone(), source })
    }

    /// Where the engine keeps what it knows of a round.
    pub(crate) fn round_folder(&self) -> PathBuf {
        self.folder.join("round")
    }

    /// The round is over.
    pub(crate) fn forget_round(&self) {
        // Only space is at stake: its key will not be met again.
        let _: std::io::Result<()> = fs::remove_dir_all(self.round_folder());
    }
}
