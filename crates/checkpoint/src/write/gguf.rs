use std::borrow::Cow;
use std::io::Write;

use super::{GgufLayout, GgufValue};
use crate::metadata::GgufEntry;
use crate::{DType, Error, ErrorKind};

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
#[derive(Clone, Default, Debug)]
pub struct Gguf<'a> {
    layout: GgufLayout,
    /// Parallel to the tensors of the layout.
    data: Vec<Cow<'a, [u8]>>,
}

impl<'a> Gguf<'a> {
    /// An empty file with GGUF's own alignment of 32 bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metadata entry, or replaces the one with the same key.
    ///
    /// `general.alignment` (u32, a power of two) also sets the alignment of the tensors.
    pub fn meta(&mut self, key: impl Into<String>, value: impl Into<GgufValue>) -> &mut Self {
        self.layout.entry(GgufEntry::new(key, value));
        self
    }

    /// Adds a tensor: `shape` is row-major, slowest first (a weight is `[out, in]`), as [`crate::TensorInfo`] has it; `data` are
    /// its bytes as stored.
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
        let info = GgufLayout::describe(name.into(), dtype, shape)?;
        if data.len() as u64 != info.bytes {
            return Err(Error::new(ErrorKind::Unsupported, "data of the wrong length")
                .in_tensor(&info.name)
                .expected(format!("{} bytes for {dtype} {shape:?}", info.bytes))
                .found(format!("{} bytes", data.len())));
        }
        self.layout.add(info);
        self.data.push(data);
        Ok(self)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When `out` fails, or when the alignment that was set is not a power of two.
    pub fn write_to(&self, out: &mut impl Write) -> Result<(), Error> {
        let mut writer = self.layout.begin(out)?;
        // A tensor without bytes has no data to be given.
        for data in self.data.iter().filter(|data| !data.is_empty()) {
            writer.data(data)?;
        }
        writer.finish().map(drop)
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
}
