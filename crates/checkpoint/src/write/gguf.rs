use std::borrow::Cow;
use std::io::Write;

use crate::formats::gguf::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, types};
use crate::layout::{self, align_up};
use crate::{DType, Error, ErrorKind, TensorInfo};

/// A metadata value with the exact type that GGUF stores; readers such as llama.cpp insist on it.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum GgufValue {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    U64(u64),
    I64(i64),
    F64(f64),
    /// Strings.
    Texts(Vec<String>),
    /// 32-bit signed integers.
    I32s(Vec<i32>),
    /// 32-bit unsigned integers.
    U32s(Vec<u32>),
    /// Single-precision floats.
    F32s(Vec<f32>),
    /// Booleans.
    Bools(Vec<bool>),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for GgufValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_from!(
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64,
    f32 => F32, f64 => F64, bool => Bool, String => Text, &str => Text,
    Vec<String> => Texts, Vec<i32> => I32s, Vec<u32> => U32s, Vec<f32> => F32s, Vec<bool> => Bools,
);

impl GgufValue {
    fn type_id(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::Text(_) => 8,
            Self::Texts(_) | Self::I32s(_) | Self::U32s(_) | Self::F32s(_) | Self::Bools(_) => 9,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(x) => out.extend(x.to_le_bytes()),
            Self::I8(x) => out.extend(x.to_le_bytes()),
            Self::U16(x) => out.extend(x.to_le_bytes()),
            Self::I16(x) => out.extend(x.to_le_bytes()),
            Self::U32(x) => out.extend(x.to_le_bytes()),
            Self::I32(x) => out.extend(x.to_le_bytes()),
            Self::F32(x) => out.extend(x.to_le_bytes()),
            Self::Bool(x) => out.push((*x).into()),
            Self::Text(x) => text(out, x),
            Self::U64(x) => out.extend(x.to_le_bytes()),
            Self::I64(x) => out.extend(x.to_le_bytes()),
            Self::F64(x) => out.extend(x.to_le_bytes()),
            Self::Texts(xs) => array(out, 8, xs, |out, x| text(out, x)),
            Self::I32s(xs) => array(out, 5, xs, |out, x| out.extend(x.to_le_bytes())),
            Self::U32s(xs) => array(out, 4, xs, |out, x| out.extend(x.to_le_bytes())),
            Self::F32s(xs) => array(out, 6, xs, |out, x| out.extend(x.to_le_bytes())),
            Self::Bools(xs) => array(out, 7, xs, |out, x| out.push((*x).into())),
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn array<T>(out: &mut Vec<u8>, type_id: u32, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.extend(type_id.to_le_bytes());
    out.extend((items.len() as u64).to_le_bytes());
    items.iter().for_each(|item| write(out, item));
}

/// A GGUF file (version 3, little endian) to be written: metadata and tensors in the order they were added, so that the
/// same calls give the same bytes.
///
/// ```
/// use tomo_checkpoint::{DType, Format, from_bytes, write::Gguf};
///
/// let mut file = Gguf::new();
/// file.meta("general.architecture", "llama");
/// file.meta("llama.block_count", 1u32);
/// let weights: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
/// file.tensor("blk.0.attn_q.weight", DType::F32, &[2, 3], weights)?;
///
/// let source = from_bytes(file.to_bytes()?, Format::Gguf)?;
/// assert_eq!(source.tensors()[0].shape, [2, 3]);
/// let mut row = [0.0; 3];
/// source.decode("blk.0.attn_q.weight", 3..6, &mut row)?;
/// assert_eq!(row, [4.0, 5.0, 6.0]);
/// # Ok::<(), tomo_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gguf<'a> {
    alignment: u64,
    metadata: Vec<(String, GgufValue)>,
    tensors: Vec<(TensorInfo, Cow<'a, [u8]>)>,
}

impl Default for Gguf<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Gguf<'a> {
    /// An empty file with GGUF's own alignment of 32 bytes.
    pub fn new() -> Self {
        Self { alignment: DEFAULT_ALIGNMENT, metadata: Vec::new(), tensors: Vec::new() }
    }

    /// Adds a metadata entry, or replaces the one with the same key.
    ///
    /// `general.alignment` (u32, a power of two) also sets the alignment of the tensors.
    pub fn meta(&mut self, key: impl Into<String>, value: impl Into<GgufValue>) -> &mut Self {
        let (key, value) = (key.into(), value.into());
        if let (ALIGNMENT_KEY, &GgufValue::U32(n)) = (key.as_str(), &value) {
            self.alignment = n.into();
        }
        match self.metadata.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = value,
            None => self.metadata.push((key, value)),
        }
        self
    }

    /// Adds a tensor: `shape` is row-major, slowest first (a weight is `[out, in]`), as [`TensorInfo`] has it; `data` are its
    /// bytes as stored.
    ///
    /// # Errors
    /// A type that GGUF does not have, rows that are not whole blocks, data of another length than type and shape ask for.
    pub fn tensor(
        &mut self,
        name: impl Into<String>,
        dtype: DType,
        shape: &[u64],
        data: impl Into<Cow<'a, [u8]>>,
    ) -> Result<&mut Self, Error> {
        let data = data.into();
        let info = layout::describe(name.into(), dtype, shape.to_vec())?;
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
        if data.len() as u64 != info.bytes {
            let expected = format!("{} bytes for {dtype} {shape:?}", info.bytes);
            return Err(wrong("data of the wrong length", expected, format!("{} bytes", data.len())));
        }
        self.tensors.push((info, data));
        Ok(self)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When `out` fails, or when the alignment that was set is not a power of two.
    pub fn write_to(&self, out: &mut impl Write) -> Result<(), Error> {
        let failed = |e: std::io::Error| Error::new(ErrorKind::Io, "cannot write GGUF").found(e.to_string());
        if !self.alignment.is_power_of_two() {
            return Err(Error::new(ErrorKind::Malformed, "general.alignment cannot be used")
                .expected("a power of two")
                .found(self.alignment.to_string()));
        }
        let mut header = self.header();
        pad(&mut header, self.alignment);
        out.write_all(&header).map_err(failed)?;
        for (_, data) in &self.tensors {
            out.write_all(data).map_err(failed)?;
            let mut padding = Vec::new();
            let rest = data.len() as u64 % self.alignment;
            if rest != 0 {
                padding.resize((self.alignment - rest) as usize, 0);
            }
            out.write_all(&padding).map_err(failed)?;
        }
        out.flush().map_err(failed)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// When the alignment that was set is not a power of two.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes)?;
        Ok(bytes)
    }

    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(MAGIC);
        header.extend(3u32.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            text(&mut header, key);
            header.extend(value.type_id().to_le_bytes());
            value.write(&mut header);
        }
        let mut offset = 0u64;
        for (info, _) in &self.tensors {
            text(&mut header, &info.name);
            header.extend((info.shape.len() as u32).to_le_bytes());
            info.shape.iter().rev().for_each(|dim| header.extend(dim.to_le_bytes()));
            header.extend(types::id(info.dtype).unwrap_or_default().to_le_bytes());
            header.extend(offset.to_le_bytes());
            offset = align_up(offset + info.bytes, self.alignment).unwrap_or(u64::MAX);
        }
        header
    }
}

fn pad(bytes: &mut Vec<u8>, alignment: u64) {
    bytes.resize(bytes.len().next_multiple_of(alignment as usize), 0);
}
