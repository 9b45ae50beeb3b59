use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use crate::{Error, ErrorKind};

/// The bytes of one file.
pub(crate) enum Backing {
    /// Mapped; pages come and go with use. The file stays open for those who read past the map.
    Mapped(Mmap, File),
    /// Held in memory.
    Owned(Vec<u8>),
}

/// Pages are brought in several at a time (the kernel maps what surrounds a fault), so they are given back from a rounder
/// place than the range's own first page; else every range would leave a few of its predecessor's pages behind.
const FAULT_AROUND_BYTES: usize = 64 << 10;

/// Finer than any page size, so nothing is lost by rounding the end of a range up to it; the kernel rounds further.
const SMALLEST_PAGE: usize = 4 << 10;

/// An error of the system, with the hint that most of them need.
pub(crate) fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::io(path, cause).hint("check that it is there and that you may read it, links included")
}

impl Backing {
    /// Maps a regular file that is not empty.
    pub(crate) fn map(path: &Path) -> Result<Self, Error> {
        // Looked at before it is opened: opening a pipe would wait for somebody to write to it.
        let found = std::fs::metadata(path).map_err(|e| unreadable(path, e))?;
        if !found.is_file() {
            let kind = if found.is_dir() { "a folder" } else { "a device, pipe or socket" };
            return Err(Error::new(ErrorKind::Io, "this is not a file")
                .in_file(path)
                .expected("a regular file")
                .found(kind)
                .hint("check the path"));
        }
        if found.len() == 0 {
            return Err(Error::new(ErrorKind::Malformed, "the file is empty")
                .in_file(path)
                .expected("tensors")
                .found("0 bytes")
                .hint("the download or copy has failed; fetch the file again"));
        }
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        // SAFETY: the map is read-only and only ever read as bytes. Another process that changes the file can change
        // those bytes (every parser copies what it has checked) or, by truncating it, end this process with a signal:
        // SECURITY.md says so.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| unreadable(path, e))?;
        Ok(Self::Mapped(map, file))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map, _) => map,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Copies `range` into `out`, which is as long. Of a file: without touching the map, so that no page is mapped for it.
    pub(crate) fn copy(&self, range: Range<usize>, out: &mut [u8]) -> std::io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Mapped(_, file) => std::os::unix::fs::FileExt::read_exact_at(file, out, range.start as u64),
            _ => {
                out.copy_from_slice(&self.bytes()[range]);
                Ok(())
            }
        }
    }

    /// Asks for `range` to be read ahead.
    pub(crate) fn prefetch(&self, range: Range<usize>) {
        if let Self::Mapped(map, _) = self {
            // Advice that is refused costs time, not correctness.
            let _ = map.advise_range(Advice::WillNeed, range.start, range.len());
        }
    }

    /// Gives back the pages of `range`; they are read again from the file when touched again.
    pub(crate) fn release(&self, range: Range<usize>) {
        let Self::Mapped(map, _) = self else { return };
        let start = range.start / FAULT_AROUND_BYTES * FAULT_AROUND_BYTES;
        let end = range.end.next_multiple_of(SMALLEST_PAGE).min(map.len());
        if start < end {
            // SAFETY: the map is shared, read-only and backed by a file: a page that is dropped is read from the file
            // again with the same contents, so no reference into the map ever sees a change.
            let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        }
    }
}
