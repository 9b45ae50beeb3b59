//! Where the files of a checkpoint are: on this machine, or elsewhere.

use std::path::{Path, PathBuf};

use crate::backing::{Backing, unreadable};
use crate::{Error, ErrorKind};

/// Files of a folder that are looked at.
const MAX_FILES: usize = 100_000;

/// A place that has folders and files, named by paths.
pub(crate) trait Files {
    /// The files of `folder`, sorted.
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Error>;

    /// Opens a file that is not empty.
    fn open(&self, path: &Path) -> Result<Backing, Error>;

    /// All of a file of at most `most` bytes; `None` where there is no such file.
    fn text(&self, path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error>;

    /// Says that these files will be opened. A hint.
    fn expect(&self, paths: &[PathBuf]) {
        let _ = paths;
    }
}

/// This machine.
pub(crate) struct Disk;

impl Files for Disk {
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let entries = std::fs::read_dir(folder).map_err(|e| unreadable(folder, e))?;
        let mut files = Vec::new();
        for entry in entries.take(MAX_FILES) {
            files.push(entry.map_err(|e| unreadable(folder, e))?.path());
        }
        files.sort();
        Ok(files)
    }

    fn open(&self, path: &Path) -> Result<Backing, Error> {
        Backing::map(path)
    }

    fn text(&self, path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(path, e)),
        }
        let backing = Backing::map(path)?;
        check_length(path, backing.length() as u64, most)?;
        backing.parse(|file| Ok(Some(file.bytes.to_vec())))
    }
}

/// Refuses a file that is to be read whole and is too long for that.
pub(crate) fn check_length(path: &Path, length: u64, most: u64) -> Result<(), Error> {
    if length <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, "the file is too long")
        .in_file(path)
        .expected(format!("at most {most} bytes"))
        .found(format!("{length}"))
        .hint("check where the file came from"))
}
