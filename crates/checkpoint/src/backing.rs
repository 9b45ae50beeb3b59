use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use crate::layout::MAX_HEADER_BYTES;
use crate::{Error, ErrorKind};

/// The bytes of one file.
pub(crate) enum Backing {
    /// Mapped; pages come and go with use. The file stays open for those who read past the map.
    Mapped(Mmap, File),
    /// Held in memory.
    Owned(Vec<u8>),
    /// Elsewhere.
    #[cfg_attr(not(feature = "store"), expect(dead_code, reason = "only a store has such files"))]
    Remote(Box<dyn Remote>),
}

/// A file that is elsewhere: its length is known, its bytes are fetched by ranges.
#[cfg_attr(not(feature = "store"), expect(dead_code, reason = "only a store has such files"))]
pub(crate) trait Remote: Send + Sync {
    fn length(&self) -> usize;

    /// Makes `head`, the file's first bytes, `wanted` long, or as long as the file.
    fn extend_head(&self, head: &mut Vec<u8>, wanted: usize) -> Result<(), Error>;

    /// Hands over the bytes of a stretch, front to back, in pieces of whole blocks.
    fn read(&self, stretch: &Stretch, take: &mut Take<'_>) -> Result<(), Error>;

    /// The bytes of many small ranges, in order of place.
    fn scattered(&self, ranges: &[Range<usize>]) -> Result<Vec<Vec<u8>>, Error>;

    /// Asks for a stretch to be fetched ahead.
    fn prefetch(&self, stretch: &Stretch);

    /// Lets go of what was fetched of `range`.
    fn release(&self, range: Range<usize>);
}

/// Takes bytes as they come.
pub(crate) type Take<'a> = dyn FnMut(&[u8]) -> Result<(), Error> + 'a;

/// Part of a tensor.
pub(crate) struct Stretch {
    /// Bytes of the file.
    pub(crate) bytes: Range<usize>,
    /// Where the tensor ends.
    pub(crate) tensor_end: usize,
    /// Bytes of a block of the tensor's type; `bytes` is whole blocks.
    pub(crate) block: usize,
}

/// The first bytes of a file, and how long all of it is.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) file_bytes: u64,
}

impl<'a> Head<'a> {
    /// Of a file that is there as a whole.
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, file_bytes: bytes.len() as u64 }
    }
}

/// What is fetched of a remote file before its header's length is known. Headers of safetensors are shorter than this as a rule.
const FIRST_HEAD_BYTES: usize = 64 << 10;

/// No header is longer.
const MAX_HEAD_BYTES: usize = MAX_HEADER_BYTES as usize + 8;

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

    pub(crate) fn length(&self) -> usize {
        self.here().map_or_else(|remote| remote.length(), <[u8]>::len)
    }

    /// All bytes, where they are here.
    fn here(&self) -> Result<&[u8], &dyn Remote> {
        match self {
            Self::Mapped(map, _) => Ok(map),
            Self::Owned(bytes) => Ok(bytes),
            Self::Remote(file) => Err(file.as_ref()),
        }
    }

    /// What `parse` makes of the file's head. Of a remote file it gets few bytes first, and more while it says that it needs
    /// them.
    pub(crate) fn parse<T>(&self, parse: impl Fn(Head<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let remote = match self.here() {
            Ok(bytes) => return parse(Head::whole(bytes)),
            Err(remote) => remote,
        };
        let (mut head, mut wanted) = (Vec::new(), FIRST_HEAD_BYTES);
        loop {
            remote.extend_head(&mut head, wanted)?;
            let parsed = parse(Head { bytes: &head, file_bytes: remote.length() as u64 });
            let needed = parsed.as_ref().err().and_then(Error::needs);
            match needed {
                Some(needed) if head.len() < remote.length() && wanted < MAX_HEAD_BYTES => {
                    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
                    wanted = needed.max(wanted * 4).min(MAX_HEAD_BYTES);
                }
                _ => return parsed,
            }
        }
    }

    /// Hands the bytes of `stretch` to `take`: of a local file all at once, of a remote one piece by piece.
    pub(crate) fn each_piece(&self, stretch: &Stretch, take: &mut Take<'_>) -> Result<(), Error> {
        match self.here() {
            Ok(bytes) => {
                self.advise(stretch.bytes.clone());
                take(&bytes[stretch.bytes.clone()])
            }
            Err(remote) => remote.read(stretch, take),
        }
    }

    /// The bytes of `ranges`, which are small and in order.
    pub(crate) fn scattered(&self, ranges: &[Range<usize>]) -> Result<Vec<Cow<'_, [u8]>>, Error> {
        match self.here() {
            Ok(bytes) => {
                // All asked for at once, so that a disk can bring them in the order it likes.
                ranges.iter().for_each(|range| self.advise(range.clone()));
                Ok(ranges.iter().map(|range| Cow::Borrowed(&bytes[range.clone()])).collect())
            }
            Err(remote) => Ok(remote.scattered(ranges)?.into_iter().map(Cow::Owned).collect()),
        }
    }

    /// Copies the bytes of `stretch` into `out`, which is as long. Of a local file: without touching the map, so that no page is
    /// mapped for it.
    pub(crate) fn copy(&self, path: &Path, stretch: &Stretch, out: &mut [u8]) -> Result<(), Error> {
        #[cfg(unix)]
        if let Self::Mapped(_, file) = self {
            let read = std::os::unix::fs::FileExt::read_exact_at(file, out, stretch.bytes.start as u64);
            return read.map_err(|cause| unreadable(path, cause));
        }
        let _ = path;
        let mut left = out;
        self.each_piece(stretch, &mut |piece| {
            let (now, later) = std::mem::take(&mut left).split_at_mut(piece.len());
            now.copy_from_slice(piece);
            left = later;
            Ok(())
        })
    }

    /// Asks for `stretch` of a remote file to be fetched ahead. Of a local one the system reads ahead by itself.
    pub(crate) fn prefetch(&self, stretch: &Stretch) {
        if let Self::Remote(file) = self {
            file.prefetch(stretch);
        }
    }

    fn advise(&self, range: Range<usize>) {
        if let Self::Mapped(map, _) = self {
            // Advice that is refused costs time, not correctness.
            let _ = map.advise_range(Advice::WillNeed, range.start, range.len());
        }
    }

    /// Gives back the pages of `range`; they are read again from the file when touched again.
    pub(crate) fn release(&self, range: Range<usize>) {
        let map = match self {
            Self::Mapped(map, _) => map,
            Self::Owned(_) => return,
            Self::Remote(file) => return file.release(range),
        };
        let start = range.start / FAULT_AROUND_BYTES * FAULT_AROUND_BYTES;
        let end = range.end.next_multiple_of(SMALLEST_PAGE).min(map.len());
        if start < end {
            // SAFETY: the map is shared, read-only and backed by a file: a page that is dropped is read from the file
            // again with the same contents, so no reference into the map ever sees a change.
            let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        }
    }
}
