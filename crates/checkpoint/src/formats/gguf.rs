//! GGUF versions 2 and 3: counts, metadata, tensor descriptions, then aligned data; all little endian.
//!
//! Format: docs/gguf.md of the ggml repository.

// A silent wrap of a number from a stranger's file is how parsers get exploited.
#![deny(clippy::as_conversions)]

mod cursor;
mod metadata;
pub(crate) mod split;
pub(crate) mod types;

use std::collections::BTreeMap;

use cursor::Cursor;

use crate::backing::Head;
use crate::layout::{self, MAX_RANK, MAX_TENSORS, Placed};
use crate::metadata::GgufMetadata;
use crate::{Error, ErrorKind, MetaValue};

/// First bytes of every GGUF file.
pub(crate) const MAGIC: [u8; 4] = *b"GGUF";

/// Where data starts and tensors are placed, unless `general.alignment` says otherwise.
pub(crate) const DEFAULT_ALIGNMENT: u64 = 32;

/// The metadata key that says otherwise.
pub(crate) const ALIGNMENT_KEY: &str = "general.alignment";

/// What a GGUF file says of itself.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) metadata: BTreeMap<String, MetaValue>,
    pub(crate) tensors: Vec<Placed>,
}

/// Reads the header of a file. Tensors come back sorted by name, each inside the file, none overlapping.
pub(crate) fn parse(file: Head<'_>) -> Result<Parsed, Error> {
    let mut cursor = Cursor::new(file);
    let (n_tensors, n_entries) = counts(&mut cursor)?;
    let metadata = metadata::read(&mut cursor, n_entries)?;
    let alignment = alignment(&metadata)?;
    let mut tensors = Vec::with_capacity(n_tensors);
    for _ in 0..n_tensors {
        tensors.push(tensor(&mut cursor)?);
    }
    let data_start = layout::align_up(cursor.position(), alignment).unwrap_or(u64::MAX);
    for tensor in &mut tensors {
        place(tensor, data_start, alignment)?;
    }
    layout::sort_by_unique_name(&mut tensors)?;
    layout::check_contiguous(&tensors, data_start, file.file_bytes, alignment)?;
    Ok(Parsed { metadata, tensors })
}

/// The metadata of a file as it is stored.
pub(crate) fn stored_metadata(file: Head<'_>) -> Result<GgufMetadata, Error> {
    let mut cursor = Cursor::new(file);
    let (_, n_entries) = counts(&mut cursor)?;
    GgufMetadata::new(metadata::read_stored(&mut cursor, n_entries)?)
}

/// Checks what a file begins with; its numbers of tensors and of metadata entries.
fn counts(cursor: &mut Cursor<'_>) -> Result<(usize, u64), Error> {
    check_version(cursor)?;
    let n_tensors = cursor.u64("the number of tensors")?;
    let n_tensors = cursor.check_count("tensors", n_tensors, MAX_TENSORS, MIN_TENSOR_BYTES)?;
    Ok((n_tensors, cursor.u64("the number of metadata entries")?))
}

/// Name length, number of dimensions, type and offset: no description is shorter.
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

fn check_version(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    let magic = cursor.take(4, "the magic number")?;
    if magic != MAGIC {
        return Err(Error::new(ErrorKind::Malformed, "this is not a GGUF file")
            .at_byte(0)
            .expected("the letters GGUF")
            .found(format!("{:?}", String::from_utf8_lossy(magic)))
            .hint("check the file's name and where it came from"));
    }
    let version = cursor.u32("the version")?;
    match version {
        2 | 3 => Ok(()),
        // Small numbers have their low half in the high bytes when written in the other order.
        v if v != 0 && v & 0xffff == 0 => {
            Err(Error::new(ErrorKind::Unsupported, "this GGUF file is for big-endian machines")
                .at_byte(4)
                .expected("version 2 or 3, little endian")
                .found(format!("version {}, big endian", v.swap_bytes()))
                .hint("convert it with gguf_convert_endian.py from llama.cpp, or take the little-endian file"))
        }
        v => Err(Error::new(ErrorKind::Unsupported, "unknown GGUF version")
            .at_byte(4)
            .expected("version 2 or 3")
            .found(format!("version {v}"))
            .hint("convert the original checkpoint again with a current llama.cpp")),
    }
}

fn alignment(metadata: &BTreeMap<String, MetaValue>) -> Result<u64, Error> {
    match metadata.get(ALIGNMENT_KEY) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(&MetaValue::Unsigned(n)) => check_alignment(n),
        Some(other) => Err(unusable_alignment(format!("{other:?}"))),
    }
}

/// Refuses an alignment that is no power of two, or so large that files would be padding.
pub(crate) fn check_alignment(n: u64) -> Result<u64, Error> {
    if n.is_power_of_two() && n <= 1 << 30 { Ok(n) } else { Err(unusable_alignment(n.to_string())) }
}

fn unusable_alignment(found: String) -> Error {
    Error::new(ErrorKind::Malformed, "general.alignment cannot be used")
        .expected("a power of two, as an unsigned integer")
        .found(found)
        .hint("the file is damaged; fetch or convert it again")
}

/// Reads one description; its offset is still relative to the start of the data.
fn tensor(cursor: &mut Cursor<'_>) -> Result<Placed, Error> {
    let at = cursor.position();
    let name = cursor.string("a tensor's name")?;
    read_rest(cursor, name.clone()).map_err(|e| e.in_tensor(&name).at_byte(at))
}

fn read_rest(cursor: &mut Cursor<'_>, name: String) -> Result<Placed, Error> {
    let rank = cursor.u32("the number of dimensions")?;
    let rank = usize::try_from(rank).unwrap_or(usize::MAX);
    if rank > MAX_RANK {
        return Err(Error::new(ErrorKind::Malformed, "tensor shape is out of bounds")
            .expected(format!("at most {MAX_RANK} dimensions"))
            .found(format!("{rank} dimensions"))
            .hint("the file is damaged; fetch it again"));
    }
    let mut shape = Vec::with_capacity(rank);
    for _ in 0..rank {
        shape.push(cursor.u64("a dimension")?);
    }
    let id = cursor.u32("the tensor's type")?;
    let offset = cursor.u64("the tensor's offset")?;
    let Some(dtype) = types::dtype(id) else {
        return Err(Error::new(ErrorKind::Unsupported, "unknown tensor type")
            .expected("a ggml type that files may hold")
            .found(format!("type {id}"))
            .hint("the file may come from a newer llama.cpp, or use a type that llama.cpp no longer reads"));
    };
    // The first dimension in the file is the one whose elements are neighbours, and blocks lie along it.
    let row = shape.first().copied().unwrap_or(1);
    let block = u64::try_from(dtype.block_elements()).unwrap_or(u64::MAX);
    if !row.is_multiple_of(block) {
        return Err(Error::new(ErrorKind::Malformed, "tensor shape does not fit its type")
            .expected(format!("rows of a multiple of {block} elements for {dtype}"))
            .found(format!("rows of {row}"))
            .hint("the file is damaged; fetch it again"));
    }
    shape.reverse();
    Ok(Placed { info: layout::describe(name, dtype, shape)?, offset })
}

/// Makes the offset one into the file.
fn place(tensor: &mut Placed, data_start: u64, alignment: u64) -> Result<(), Error> {
    let relative = tensor.offset;
    let wrong = |what: &str| {
        Error::new(ErrorKind::Malformed, what)
            .in_tensor(&tensor.info.name)
            .expected(format!("an offset that is a multiple of {alignment} and inside the file"))
            .found(format!("offset {relative}"))
            .hint("the file is damaged; fetch it again")
    };
    if !relative.is_multiple_of(alignment) {
        return Err(wrong("tensor offset is not aligned"));
    }
    tensor.offset = relative.checked_add(data_start).ok_or_else(|| wrong("tensor offset is out of bounds"))?;
    Ok(())
}
