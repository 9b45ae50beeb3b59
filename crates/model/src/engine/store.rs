//! The residual stream before every block, kept for the way back: in memory, or in a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use super::error::EngineError;

/// Residual streams of `[N, D]` by number.
pub(crate) enum Store {
    Memory(Vec<Vec<f32>>),
    /// One after the other, in the machine's byte order.
    File(File),
}

impl Store {
    /// In a file that has no name and is gone with the process.
    pub(crate) fn unnamed() -> Result<Self, EngineError> {
        let file = tempfile::tempfile().map_err(|e| EngineError::scratch("create a scratch file", e))?;
        Ok(Self::File(file))
    }

    /// Keeps `values` as number `at`; numbers come in their order.
    pub(crate) fn put(&mut self, at: usize, values: &[f32]) -> Result<(), EngineError> {
        match self {
            Self::Memory(all) => {
                all.truncate(at);
                all.push(values.to_vec());
                Ok(())
            }
            Self::File(file) => {
                let bytes: &[u8] = bytemuck::cast_slice(values);
                let start = (at * bytes.len()) as u64;
                let written = file.seek(SeekFrom::Start(start)).and_then(|_| file.write_all(bytes));
                written.map_err(|e| EngineError::scratch("write block inputs to the scratch file", e))
            }
        }
    }

    /// Number `at`, into `out`.
    pub(crate) fn get(&mut self, at: usize, out: &mut [f32]) -> Result<(), EngineError> {
        match self {
            Self::Memory(all) => {
                let values = all.get(at).filter(|v| v.len() == out.len());
                out.copy_from_slice(values.ok_or_else(EngineError::lost)?);
                Ok(())
            }
            Self::File(file) => {
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
                let start = (at * bytes.len()) as u64;
                let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(bytes));
                read.map_err(|e| EngineError::scratch("read block inputs from the scratch file", e))
            }
        }
    }
}
