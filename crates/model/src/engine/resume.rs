//! A pass that was ended, by whatever, and goes on where it was.
//!
//! A folder holds `state`, what is known when a block is done, and of a reverse pass `inputs`, the residual stream before every
//! block. The state is written beside its place and renamed, so that it is always whole. Nothing is synchronised to the disk:
//! it survives the end of the process, not that of the machine.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::EngineError;
use super::store::Store;

/// Where a pass leaves what it needs to go on after it was ended, and finds it.
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
    /// Entries of the vocabulary before n have been compared.
    Head(usize),
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

/// A state that is being written, where what is large stays where it is.
pub(crate) struct Left<'s> {
    pub(crate) at: At,
    pub(crate) losses: &'s [Vec<Vec<f64>>],
    pub(crate) stream: &'s [&'s [f32]],
    pub(crate) observers: &'s [Vec<u8>],
}

/// A state that is being read: its sizes are known, and fit the file.
pub(crate) struct Found {
    pub(crate) at: At,
    pub(crate) losses: Vec<Vec<Vec<f64>>>,
    pub(crate) stream: Vec<usize>,
    pub(crate) observers: Vec<usize>,
    rest: BufReader<File>,
}

impl Found {
    /// The next values of the stream.
    pub(crate) fn read(&mut self, out: &mut [f32]) -> std::io::Result<()> {
        self.rest.read_exact(bytemuck::cast_slice_mut(out))?;
        if cfg!(target_endian = "big") {
            out.iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits().swap_bytes()));
        }
        Ok(())
    }

    /// What the next observer saved, after the stream.
    pub(crate) fn observer(&mut self, bytes: usize) -> std::io::Result<Vec<u8>> {
        let mut own = vec![0; bytes];
        self.rest.read_exact(&mut own)?;
        Ok(own)
    }
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

    /// What an earlier pass of the same key left, if it is whole.
    pub(crate) fn find(&self) -> Option<Found> {
        let file = File::open(self.folder.join("state")).ok()?;
        let size = file.metadata().ok()?.len();
        let (mut rest, mut line) = (BufReader::new(file), Vec::new());
        rest.read_until(b'\n', &mut line).ok()?;
        let header: Header = serde_json::from_slice(&line).ok()?;
        if header.schema != SCHEMA || header.key != self.key {
            return None;
        }
        let values = header.stream.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count as u64))?;
        let bytes = header.observers.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count as u64))?;
        let expected = (line.len() as u64).checked_add(values.checked_mul(4)?)?.checked_add(bytes)?;
        let of_bits = |tokens: Vec<u64>| tokens.into_iter().map(f64::from_bits).collect();
        let losses = header.losses.into_iter().map(|all| all.into_iter().map(of_bits).collect()).collect();
        let Header { at, stream, observers, .. } = header;
        (expected == size).then_some(Found { at, losses, stream, observers, rest })
    }

    /// The same, read.
    pub(crate) fn load(&self) -> Option<State> {
        let mut found = self.find()?;
        let mut stream: Vec<Vec<f32>> = found.stream.iter().map(|count| vec![0.0; *count]).collect();
        for own in &mut stream {
            found.read(own).ok()?;
        }
        let sizes = std::mem::take(&mut found.observers);
        let observers = sizes.into_iter().map(|bytes| found.observer(bytes)).collect::<Result<_, _>>().ok()?;
        Some(State { at: found.at, losses: found.losses, stream, observers })
    }

    /// Leaves `state` in place of what was there.
    pub(crate) fn save(&self, state: &State) -> Result<(), EngineError> {
        let stream: Vec<&[f32]> = state.stream.iter().map(Vec::as_slice).collect();
        let State { at, losses, observers, .. } = state;
        self.leave(&Left { at: *at, losses, stream: &stream, observers })
    }

    /// Leaves a state in place of what was there, which stays where this one cannot be written.
    pub(crate) fn leave(&self, state: &Left<'_>) -> Result<(), EngineError> {
        let bits = |tokens: &Vec<f64>| tokens.iter().map(|x| x.to_bits()).collect();
        let header = Header {
            schema: SCHEMA.to_owned(),
            key: self.key.clone(),
            at: state.at,
            losses: state.losses.iter().map(|all| all.iter().map(bits).collect()).collect(),
            stream: state.stream.iter().map(|own| own.len()).collect(),
            observers: state.observers.iter().map(Vec::len).collect(),
        };
        let write = |path: &Path| -> std::io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let mut file = std::io::BufWriter::with_capacity(1 << 16, File::create(path)?);
            serde_json::to_writer(&mut file, &header)?;
            file.write_all(b"\n")?;
            for own in state.stream {
                write_values(&mut file, own)?;
            }
            for observer in state.observers {
                file.write_all(observer)?;
            }
            file.flush()
        };
        let beside = self.folder.join("state.new");
        let written = write(&beside).and_then(|()| fs::rename(&beside, self.folder.join("state")));
        written.map_err(|e| {
            // Half a state is no use, and the disk may be full.
            let _ = fs::remove_file(&beside);
            EngineError::folder(&self.folder, e)
        })
    }
}

/// In little-endian order.
fn write_values(file: &mut impl Write, values: &[f32]) -> std::io::Result<()> {
    if cfg!(target_endian = "little") {
        return file.write_all(bytemuck::cast_slice(values));
    }
    values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
}
