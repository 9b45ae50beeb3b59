use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::backing::{Backing, Stretch};
use crate::digest::TensorDigest;
use crate::formats::gguf;
use crate::layout::{self, MAX_TENSORS, Placed};
use crate::source::folder_of;
use crate::{Config, Error, ErrorKind, Fetched, Format, GgufMetadata, Source, TensorInfo, decode};

/// The bytes of one opened file and the tensors in it, in any order.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    pub(crate) backing: Backing,
    pub(crate) tensors: Vec<Placed>,
}

/// Where a tensor's bytes lie.
struct Place {
    part: usize,
    bytes: Range<usize>,
}

/// An opened checkpoint of any format: what formats have in common once their headers are read and checked.
pub(crate) struct Checkpoint {
    path: PathBuf,
    format: Format,
    config: Config,
    tensors: Vec<TensorInfo>,
    /// Parallel to `tensors`.
    places: Vec<Place>,
    files: Vec<(PathBuf, Backing)>,
    origin: Option<Box<dyn Origin>>,
}

/// Where a checkpoint that is not on this machine comes from.
#[cfg_attr(not(feature = "store"), expect(dead_code, reason = "only a store is one"))]
pub(crate) trait Origin: Send + Sync {
    /// As [`Source::companions`].
    fn companions(&self) -> Result<PathBuf, Error>;

    /// As [`Source::fetched`].
    fn fetched(&self) -> Fetched;

    /// As [`Source::hold_at_most`].
    fn hold_at_most(&self, bytes: u64);
}

impl Checkpoint {
    /// Joins the parts; each has passed its format's own checks.
    pub(crate) fn new(path: &Path, format: Format, config: Config, parts: Vec<Part>) -> Result<Self, Error> {
        let count: usize = parts.iter().map(|p| p.tensors.len()).sum();
        if count > MAX_TENSORS {
            return Err(Error::new(ErrorKind::Malformed, "too many tensors")
                .in_file(path)
                .expected(format!("at most {MAX_TENSORS}"))
                .found(format!("{count}"))
                .hint("the checkpoint is damaged; fetch it again"));
        }
        let mut files = Vec::with_capacity(parts.len());
        let mut all = Vec::with_capacity(count);
        for (index, part) in parts.into_iter().enumerate() {
            let length = part.backing.length();
            for tensor in part.tensors {
                let range = byte_range(&tensor, length).map_err(|e| e.in_file(&part.path))?;
                all.push((tensor.info, Place { part: index, bytes: range }));
            }
            files.push((part.path, part.backing));
        }
        all.sort_unstable_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let twice = all.iter().zip(all.iter().skip(1)).find(|((a, _), (b, _))| a.name == b.name);
        if let Some(((info, first), (_, second))) = twice {
            return Err(Error::new(ErrorKind::Malformed, "two files hold a tensor of the same name")
                .in_file(&files[second.part].0)
                .in_tensor(&info.name)
                .expected("every name in one file")
                .found(format!("the name also in {}", files[first.part].0.display()))
                .hint("which of the two is meant cannot be known; fetch or write the checkpoint again"));
        }
        let (tensors, places) = all.into_iter().unzip();
        Ok(Self { path: path.to_owned(), format, config, tensors, places, files, origin: None })
    }

    /// The same, from elsewhere.
    #[cfg(feature = "store")]
    pub(crate) fn with_origin(self, origin: Box<dyn Origin>) -> Self {
        Self { origin: Some(origin), ..self }
    }

    fn find(&self, name: &str) -> Result<(&TensorInfo, &Place), Error> {
        let at = self.tensors.binary_search_by(|t| t.name.as_str().cmp(name));
        at.map(|i| (&self.tensors[i], &self.places[i])).map_err(|_| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        let error = Error::new(ErrorKind::Missing, "there is no such tensor").in_file(&self.path).in_tensor(name);
        let names = self.tensors.iter().map(|t| t.name.as_str());
        match crate::nearest::nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {near:?}?")),
            None => error.hint("list the tensors of the checkpoint to see their names"),
        }
    }

    /// Bytes of the file that hold elements `range`, which must be whole blocks of the tensor.
    fn block_range(info: &TensorInfo, place: &Place, range: &Range<u64>) -> Option<Range<usize>> {
        let block = u64::try_from(info.dtype.block_elements()).ok()?;
        let whole = range.start <= range.end
            && range.end <= info.numel()
            && range.start.is_multiple_of(block)
            && range.end.is_multiple_of(block);
        let at = |element: u64| {
            let blocks = usize::try_from(element / block).ok()?;
            place.bytes.start.checked_add(blocks.checked_mul(info.dtype.block_bytes())?)
        };
        if whole { Some(at(range.start)?..at(range.end)?) } else { None }
    }

    fn stretch(info: &TensorInfo, place: &Place, bytes: Range<usize>) -> Stretch {
        Stretch { bytes, tensor_end: place.bytes.end, block: info.dtype.block_bytes() }
    }

    /// As [`Checkpoint::block_range`], with the error.
    fn checked_range(info: &TensorInfo, place: &Place, range: &Range<u64>) -> Result<Stretch, Error> {
        let block = info.dtype.block_elements();
        let bytes = Self::block_range(info, place, range);
        bytes.map(|bytes| Self::stretch(info, place, bytes)).ok_or_else(|| {
            Error::new(ErrorKind::Missing, "the range is not in the tensor")
                .expected(format!("multiples of {block} from 0 to {}", info.numel()))
                .found(format!("{} to {}", range.start, range.end))
                .hint("a range starts and ends on whole blocks of the tensor's type")
        })
    }
}

fn byte_range(tensor: &Placed, file_length: usize) -> Result<Range<usize>, Error> {
    let start = usize::try_from(tensor.offset).ok();
    let length = usize::try_from(tensor.info.bytes).ok();
    let range = start.zip(length).and_then(|(s, n)| Some(s..s.checked_add(n)?));
    range.filter(|r| r.end <= file_length).ok_or_else(|| layout::truncated(tensor, file_length as u64))
}

impl Source for Checkpoint {
    fn path(&self) -> &Path {
        &self.path
    }

    fn files(&self) -> Vec<&Path> {
        self.files.iter().map(|(path, _)| path.as_path()).collect()
    }

    fn format(&self) -> Format {
        self.format
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn decode(&self, name: &str, range: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        let (info, place) = self.find(name)?;
        let (path, backing) = &self.files[place.part];
        let here = |e: Error| e.in_file(path).in_tensor(name);
        decode::check_decodable(info.dtype).map_err(here)?;
        let stretch = Self::checked_range(info, place, &range).map_err(here)?;
        if out.len() as u64 != range.end - range.start {
            return Err(here(
                Error::new(ErrorKind::Missing, "the output has another length than the range")
                    .expected(format!("{} elements", range.end - range.start))
                    .found(format!("{}", out.len()))
                    .hint("give an output as long as the range"),
            ));
        }
        let mut left = out;
        let decoded = backing.each_piece(&stretch, &mut |piece| {
            let elements = piece.len() / info.dtype.block_bytes() * info.dtype.block_elements();
            let (now, later) = std::mem::take(&mut left).split_at_mut(elements);
            left = later;
            decode::decode(info.dtype, piece, now)
        });
        decoded.map_err(here)
    }

    fn read(&self, name: &str, range: Range<u64>, out: &mut Vec<u8>) -> Result<bool, Error> {
        let (info, place) = self.find(name)?;
        let (path, backing) = &self.files[place.part];
        let here = |e: Error| e.in_file(path).in_tensor(name);
        let stretch = Self::checked_range(info, place, &range).map_err(here)?;
        out.resize(stretch.bytes.len(), 0);
        backing.copy(path, &stretch, out).map_err(|e| e.in_tensor(name))?;
        Ok(true)
    }

    fn gguf_metadata(&self) -> Result<Option<GgufMetadata>, Error> {
        match (self.format, self.files.first()) {
            (Format::Gguf, Some((path, backing))) => {
                backing.parse(gguf::stored_metadata).map(Some).map_err(|e| e.in_file(path))
            }
            _ => Ok(None),
        }
    }

    fn release(&self, name: &str, range: Range<u64>) {
        if let Ok((info, place)) = self.find(name)
            && let Some(bytes) = Self::block_range(info, place, &range)
        {
            self.files[place.part].1.release(bytes);
        }
    }

    fn prefetch(&self, name: &str, range: Range<u64>) {
        if let Ok((info, place)) = self.find(name)
            && let Some(bytes) = Self::block_range(info, place, &range)
        {
            self.files[place.part].1.prefetch(&Self::stretch(info, place, bytes));
        }
    }

    fn digest(&self) -> Result<String, Error> {
        let mut digest = TensorDigest::new(self.tensors.len());
        let pieces = |index: usize, place: &Place| {
            let start = place.bytes.start;
            digest.pieces(index, place.bytes.len()).map(move |p| start + p.start..start + p.end).collect::<Vec<_>>()
        };
        let pieces: Vec<_> = self.places.iter().enumerate().map(|(index, place)| pieces(index, place)).collect();
        let mut sampled = Vec::with_capacity(self.files.len());
        for (part, (path, backing)) in self.files.iter().enumerate() {
            let of_file = self.places.iter().zip(&pieces).filter(|(place, _)| place.part == part);
            let ranges: Vec<_> = of_file.flat_map(|(_, pieces)| pieces.iter().cloned()).collect();
            sampled.push(backing.scattered(&ranges).map_err(|e| e.in_file(path))?.into_iter());
        }
        for ((info, place), pieces) in self.tensors.iter().zip(&self.places).zip(&pieces) {
            let sampled: Vec<_> = sampled[place.part].by_ref().take(pieces.len()).collect();
            digest.add(info, sampled.iter().map(|piece| piece.as_ref()));
            self.files[place.part].1.release(place.bytes.clone());
        }
        Ok(digest.finish())
    }

    fn companions(&self) -> Result<PathBuf, Error> {
        self.origin.as_ref().map_or_else(|| Ok(folder_of(&self.path)), |origin| origin.companions())
    }

    fn fetched(&self) -> Option<Fetched> {
        self.origin.as_ref().map(|origin| origin.fetched())
    }

    fn hold_at_most(&self, bytes: u64) {
        self.origin.iter().for_each(|origin| origin.hold_at_most(bytes));
    }
}
