use std::io::Write;

use super::value::text;
use super::{GgufWriter, failed, pad};
use crate::formats::gguf::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, check_alignment, types};
use crate::layout::{self, align_up};
use crate::metadata::GgufEntry;
use crate::{DType, Error, ErrorKind, TensorInfo};

/// What a GGUF file (version 3, little endian) consists of before any data is there: metadata and tensors, in the order they were
/// added. Says how large the file becomes, and begins it.
///
/// ```
/// use tomo_checkpoint::write::GgufLayout;
/// use tomo_checkpoint::{DType, Format, GgufEntry, from_bytes};
///
/// let mut layout = GgufLayout::new();
/// layout.entry(GgufEntry::new("general.architecture", "llama"));
/// layout.tensor("blk.0.attn_q.weight", DType::F32, &[2, 3])?;
///
/// let mut writer = layout.begin(Vec::new())?;
/// for row in [[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]] {
///     let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
///     writer.data(&bytes)?;
/// }
/// let file = writer.finish()?;
/// assert_eq!(file.len() as u64, layout.file_bytes());
/// assert_eq!(from_bytes(file, Format::Gguf)?.tensors()[0].shape, [2, 3]);
/// # Ok::<(), tomo_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GgufLayout {
    alignment: u64,
    metadata: Vec<GgufEntry>,
    tensors: Vec<TensorInfo>,
}

impl Default for GgufLayout {
    fn default() -> Self {
        Self::new()
    }
}

impl GgufLayout {
    /// Nothing yet, with GGUF's own alignment of 32 bytes.
    pub fn new() -> Self {
        Self { alignment: DEFAULT_ALIGNMENT, metadata: Vec::new(), tensors: Vec::new() }
    }

    /// Adds a metadata entry, or replaces the one with the same key. `general.alignment` also sets the alignment.
    pub fn entry(&mut self, entry: GgufEntry) -> &mut Self {
        if let (ALIGNMENT_KEY, Some(alignment)) = (entry.key(), entry.unsigned()) {
            self.alignment = alignment;
        }
        match self.metadata.iter_mut().find(|other| other.key() == entry.key()) {
            Some(other) => *other = entry,
            None => self.metadata.push(entry),
        }
        self
    }

    /// Adds a tensor; `shape` is row-major, slowest first.
    ///
    /// # Errors
    /// A type that GGUF does not have, rows that are not whole blocks.
    pub fn tensor(&mut self, name: impl Into<String>, dtype: DType, shape: &[u64]) -> Result<&mut Self, Error> {
        let info = Self::describe(name.into(), dtype, shape)?;
        self.add(info);
        Ok(self)
    }

    pub(super) fn describe(name: String, dtype: DType, shape: &[u64]) -> Result<TensorInfo, Error> {
        let info = layout::describe(name, dtype, shape.to_vec())?;
        let wrong = |what: &str, expected: String, found: String| {
            Error::new(ErrorKind::Unsupported, what).in_tensor(&info.name).expected(expected).found(found)
        };
        if types::id(dtype).is_none() {
            let found = dtype.name().into();
            return Err(wrong("GGUF does not have this tensor type", "a ggml type".into(), found));
        }
        let row = shape.last().copied().unwrap_or(1);
        let block = dtype.block_elements() as u64;
        if !row.is_multiple_of(block) {
            let expected = format!("rows of a multiple of {block} elements");
            return Err(wrong("rows are not whole blocks", expected, format!("rows of {row}")));
        }
        Ok(info)
    }

    pub(super) fn add(&mut self, info: TensorInfo) {
        self.tensors.push(info);
    }

    /// The metadata entries.
    pub fn metadata(&self) -> &[GgufEntry] {
        &self.metadata
    }

    /// The tensors, in the order of their data.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Bytes of the whole file; `u64::MAX` where no file could be so large.
    pub fn file_bytes(&self) -> u64 {
        let entries: u64 = self.metadata.iter().map(GgufEntry::bytes).sum();
        let described = |info: &TensorInfo| 8 + info.name.len() as u64 + 4 + 8 * info.shape.len() as u64 + 4 + 8;
        let header = FIXED_BYTES + entries + self.tensors.iter().map(described).sum::<u64>();
        let padded = |bytes: u64| align_up(bytes, self.alignment).unwrap_or(u64::MAX);
        self.tensors.iter().fold(padded(header), |sum, info| sum.saturating_add(padded(info.bytes)))
    }

    /// Writes the header to `out`; data is to follow.
    ///
    /// # Errors
    /// When `out` fails, or when the alignment that was set is not a power of two.
    pub fn begin<W: Write>(&self, mut out: W) -> Result<GgufWriter<W>, Error> {
        check_alignment(self.alignment)?;
        let header = self.header();
        let length = header.len() as u64;
        out.write_all(&header).map_err(failed)?;
        pad(&mut out, align_up(length, self.alignment).unwrap_or(length) - length)?;
        Ok(GgufWriter::new(out, self.tensors.clone(), self.alignment))
    }

    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(MAGIC);
        header.extend(3u32.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.metadata.len() as u64).to_le_bytes());
        self.metadata.iter().for_each(|entry| entry.write(&mut header));
        let mut offset = 0u64;
        for info in &self.tensors {
            text(&mut header, &info.name);
            header.extend((info.shape.len() as u32).to_le_bytes());
            info.shape.iter().rev().for_each(|dim| header.extend(dim.to_le_bytes()));
            header.extend(types::id(info.dtype).unwrap_or_default().to_le_bytes());
            header.extend(offset.to_le_bytes());
            offset = align_up(offset.saturating_add(info.bytes), self.alignment).unwrap_or(u64::MAX);
        }
        header
    }
}

/// Magic number, version, number of tensors, number of metadata entries.
const FIXED_BYTES: u64 = 4 + 4 + 8 + 8;
