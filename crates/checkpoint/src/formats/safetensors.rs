//! One safetensors file: eight bytes of header length (little endian), a JSON header, the tensors' bytes back to back.
//!
//! Format: the README of the safetensors repository. The header is read here and not by that crate because it keeps the last of
//! two tensors with one name and its errors name neither tensor nor byte.

// A silent wrap of a number from a stranger's file is how parsers get exploited.
#![deny(clippy::as_conversions)]

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::backing::Head;
use crate::layout::{self, MAX_HEADER_BYTES, MAX_RANK, MAX_TENSORS, Placed};
use crate::{DType, Error, ErrorKind};

/// Bytes of the length field.
const PREFIX: u64 = 8;

/// Types a safetensors header may name.
const TYPES: &[DType] = &[
    DType::F64,
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::F8_E4M3,
    DType::F8_E5M2,
    DType::F8_E4M3FNUZ,
    DType::F8_E5M2FNUZ,
    DType::F8_E8M0,
    DType::F4,
    DType::F6_E2M3,
    DType::F6_E3M2,
    DType::C64,
    DType::BOOL,
    DType::I8,
    DType::U8,
    DType::I16,
    DType::U16,
    DType::I32,
    DType::U32,
    DType::I64,
    DType::U64,
];

/// Reads the header of a file. Tensors come back sorted by name, each inside the file, none overlapping.
pub(crate) fn parse(file: Head<'_>) -> Result<Vec<Placed>, Error> {
    let header = header_bytes(file)?;
    let entries = parse_header(header)?;
    let data_start = PREFIX + length(header);
    let mut tensors = entries.into_iter().map(|e| e.place(data_start)).collect::<Result<Vec<_>, _>>()?;
    layout::sort_by_unique_name(&mut tensors)?;
    let data_end = layout::check_contiguous(&tensors, data_start, file.file_bytes, 1)?;
    if data_end != file.file_bytes {
        return Err(Error::new(ErrorKind::Malformed, "the file goes on after its last tensor")
            .at_byte(data_end)
            .expected(format!("a file of {data_end} bytes"))
            .found(format!("{} bytes", file.file_bytes))
            .hint("the file is damaged or hides data; write it again with the safetensors library"));
    }
    Ok(tensors)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn header_bytes(file: Head<'_>) -> Result<&[u8], Error> {
    let Some((prefix, rest)) = file.bytes.split_first_chunk() else {
        return Err(Error::new(ErrorKind::Malformed, "the file is too short for a safetensors header")
            .at_byte(0)
            .expected("at least 8 bytes")
            .found(format!("{} bytes", file.file_bytes))
            .hint("the download or copy is probably incomplete; fetch the file again"));
    };
    let declared = u64::from_le_bytes(*prefix);
    if declared > MAX_HEADER_BYTES {
        return Err(Error::new(ErrorKind::Malformed, "the safetensors header is too long")
            .at_byte(0)
            .expected(format!("a header of at most {MAX_HEADER_BYTES} bytes"))
            .found(format!("{declared} bytes declared"))
            .hint("is this a safetensors file at all? its first eight bytes are the header's length"));
    }
    usize::try_from(declared).ok().and_then(|n| rest.get(..n)).ok_or_else(|| {
        Error::new(ErrorKind::Malformed, "the safetensors header runs past the end of the file")
            .at_byte(PREFIX)
            .expected(format!("{declared} bytes of header"))
            .found(format!("{} bytes before the file ends", file.file_bytes.saturating_sub(PREFIX)))
            .hint("the download or copy is probably incomplete; fetch the file again")
            .needing(PREFIX + declared)
    })
}

struct Entry<'a> {
    name: String,
    stored: Stored<'a>,
}

#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Dims,
    data_offsets: (u64, u64),
}

impl Entry<'_> {
    fn place(self, data_start: u64) -> Result<Placed, Error> {
        let Stored { dtype: type_name, shape, data_offsets: (begin, end) } = self.stored;
        let known = TYPES.iter().copied().find(|d| d.name() == type_name);
        let Some(dtype) = known else {
            return Err(Error::new(ErrorKind::Unsupported, "unknown tensor type")
                .in_tensor(&self.name)
                .expected(TYPES.iter().map(|d| d.name()).collect::<Vec<_>>().join(" "))
                .found(type_name)
                .hint("the file may come from a newer safetensors; convert the tensor to BF16"));
        };
        let info = layout::describe(self.name, dtype, shape.0)?;
        if end.checked_sub(begin) != Some(info.bytes) {
            return Err(Error::new(ErrorKind::Malformed, "shape and data offsets disagree")
                .in_tensor(&info.name)
                .expected(format!("{} bytes for {dtype} {:?}", info.bytes, info.shape))
                .found(format!("data_offsets [{begin}, {end}]"))
                .hint("the file is damaged; fetch or write it again"));
        }
        let Some(offset) = begin.checked_add(data_start) else {
            return Err(Error::new(ErrorKind::Malformed, "data offset is out of bounds")
                .in_tensor(&info.name)
                .found(format!("data_offsets [{begin}, {end}]"))
                .hint("the file is damaged; fetch or write it again"));
        };
        Ok(Placed { info, offset })
    }
}

fn parse_header(header: &[u8]) -> Result<Vec<Entry<'_>>, Error> {
    let mut entries = Vec::new();
    let mut current = None;
    let mut json = serde_json::Deserializer::from_slice(header);
    let read = Header { entries: &mut entries, current: &mut current }.deserialize(&mut json);
    match read.and_then(|()| json.end()) {
        Ok(()) => Ok(entries),
        Err(cause) => {
            let error = Error::new(ErrorKind::Malformed, "the safetensors header is not as it should be")
                .at_byte(PREFIX + byte_of(header, &cause))
                .expected("JSON: {name: {dtype, shape, data_offsets}, ...}")
                .found(cause.to_string())
                .hint("the file is damaged or is not safetensors; fetch or write it again");
            Err(match current {
                Some(name) => error.in_tensor(&name),
                None => error,
            })
        }
    }
}

/// serde_json counts lines and columns from 1.
fn byte_of(header: &[u8], cause: &serde_json::Error) -> u64 {
    let before: usize =
        header.split_inclusive(|&b| b == b'\n').take(cause.line().saturating_sub(1)).map(<[u8]>::len).sum();
    u64::try_from(before + cause.column().saturating_sub(1)).unwrap_or(u64::MAX)
}

/// Collects entries in file order, so that a name that occurs twice is seen; `current` is the tensor being read.
struct Header<'a, 'de> {
    entries: &'a mut Vec<Entry<'de>>,
    current: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Header<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Header<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from tensor names to descriptions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if std::mem::replace(&mut has_metadata, true) {
                    return Err(A::Error::custom("__metadata__ occurs twice"));
                }
                map.next_value::<Metadata>()?;
                continue;
            }
            if self.entries.len() == MAX_TENSORS {
                return Err(A::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            }
            *self.current = Some(name);
            let stored = map.next_value()?;
            self.entries.extend(self.current.take().map(|name| Entry { name, stored }));
        }
        Ok(())
    }
}

/// Strings by string, checked and dropped: nothing here needs them.
struct Metadata;

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Metadata;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("__metadata__ as a map from strings to strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                while map.next_entry::<String, String>()?.is_some() {}
                Ok(Metadata)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A shape of at most [`MAX_RANK`] dimensions, read without trusting its length.
struct Dims(Vec<u64>);

impl<'de> Deserialize<'de> for Dims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Dims;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a shape of at most {MAX_RANK} dimensions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Dims, A::Error> {
                let mut dims = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == MAX_RANK {
                        return Err(A::Error::invalid_length(MAX_RANK + 1, &self));
                    }
                    dims.push(dim);
                }
                Ok(Dims(dims))
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}
