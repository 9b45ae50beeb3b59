//! A reverse pass that was ended, by whatever, and goes on where it was.
//!
//! A folder holds two files: `inputs`, the residual stream before every block, and `state`, what is known when a block is
//! done. The state is written beside its place and renamed, so that it is always whole. Nothing is synchronised to the disk:
//! it survives the end of the process, not that of the machine.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::EngineError;
use super::store::Store;

/// Where a reverse pass leaves what it needs to go on after it was ended, and finds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resume {
    /// A folder of the pass alone; made where there is none. Whoever made the pass removes it when its results are safe.
    pub folder: PathBuf,
    /// All that decides the results: digests of model and tokens, metrics, options. What was left under another key is
    /// not used.
    pub key: String,
}

/// How far a pass was, with everything that it needs to go on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct State {
    pub(crate) at: At,
    /// Per objective and sequence.
    pub(crate) losses: Vec<Vec<Vec<f64>>>,
    /// dL/d(residual), group by group.
    pub(crate) stream: Vec<Vec<f32>>,
    /// What each observer saved.
    pub(crate) observers: Vec<Vec<u8>>,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum At {
    /// The inputs of blocks `0..=n` are stored; block n runs forward next.
    Forward(usize),
    /// Blocks n and later have run backward.
    Backward(usize),
}

/// The first line of a state file; the sizes say what follows.
#[derive(Serialize, Deserialize)]
struct Header {
    schema: String,
    key: String,
    at: At,
    /// Bits of the losses, which no decimal text is trusted with.
    losses: Vec<Vec<Vec<u64>>>,
    stream: Vec<usize>,
    observers: Vec<usize>,
}

const SCHEMA: &str = "tomograph.reverse/1";

impl Resume {
    /// The file of block inputs, as an earlier pass left it or new.
    pub(crate) fn store(&self) -> Result<Store, EngineError> {
        let open = || {
            fs::create_dir_all(&self.folder)?;
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.folder.join("inputs"))
        };
        Ok(Store::File(open().map_err(|e| EngineError::folder(&self.folder, e))?))
    }

    /// What an earlier pass of the same key left, if it can be read whole.
    pub(crate) fn load(&self) -> Option<State> {
        let bytes = fs::read(self.folder.join("state")).ok()?;
        let line = bytes.iter().position(|b| *b == b'\n')?;
        let header: Header = serde_json::from_slice(&bytes[..line]).ok()?;
        if header.schema != SCHEMA || header.key != self.key {
            return None;
        }
        let mut rest = &bytes[line + 1..];
        let mut take = |count: usize| -> Option<&[u8]> {
            let (own, after) = rest.split_at_checked(count)?;
            rest = after;
            Some(own)
        };
        let mut stream = Vec::with_capacity(header.stream.len().min(bytes.len()));
        for count in header.stream {
            let own = take(count.checked_mul(4)?)?;
            stream.push(own.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect());
        }
        let mut observers = Vec::new();
        for count in header.observers {
            observers.push(take(count)?.to_vec());
        }
        let of_bits = |tokens: Vec<u64>| tokens.into_iter().map(f64::from_bits).collect();
        let losses = header.losses.into_iter().map(|all| all.into_iter().map(of_bits).collect()).collect();
        rest.is_empty().then_some(State { at: header.at, losses, stream, observers })
    }

    /// Leaves `state` in place of what was there.
    pub(crate) fn save(&self, state: &State) -> Result<(), EngineError> {
        let bits = |tokens: &Vec<f64>| tokens.iter().map(|x| x.to_bits()).collect();
        let header = Header {
            schema: SCHEMA.to_owned(),
            key: self.key.clone(),
            at: state.at,
            losses: state.losses.iter().map(|all| all.iter().map(bits).collect()).collect(),
            stream: state.stream.iter().map(Vec::len).collect(),
            observers: state.observers.iter().map(Vec::len).collect(),
        };
        let write = |path: &Path| -> std::io::Result<()> {
            let mut file = std::io::BufWriter::new(File::create(path)?);
            serde_json::to_writer(&mut file, &header)?;
            file.write_all(b"\n")?;
            for value in state.stream.iter().flatten() {
                file.write_all(&value.to_le_bytes())?;
            }
            for observer in &state.observers {
                file.write_all(observer)?;
            }
            file.flush()
        };
        let beside = self.folder.join("state.new");
        let written = write(&beside).and_then(|()| fs::rename(&beside, self.folder.join("state")));
        written.map_err(|e| EngineError::folder(&self.folder, e))
    }
}
