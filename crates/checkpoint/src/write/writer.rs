use std::io::Write;

use super::{failed, pad};
use crate::{Error, ErrorKind, TensorInfo};

/// A GGUF file whose header is written and whose data is on its way, tensor by tensor: see [`super::GgufLayout::begin`].
#[derive(Debug)]
pub struct GgufWriter<W> {
    out: W,
    tensors: Vec<TensorInfo>,
    alignment: u64,
    /// The tensor whose data comes next.
    at: usize,
    /// Bytes of it that are missing.
    left: u64,
}

impl<W: Write> GgufWriter<W> {
    pub(super) fn new(out: W, tensors: Vec<TensorInfo>, alignment: u64) -> Self {
        let left = tensors.first().map_or(0, |info| info.bytes);
        let mut writer = Self { out, tensors, alignment, at: 0, left };
        writer.pass_empty();
        writer
    }

    /// Writes the next bytes of the tensor that is not complete yet; after its last byte comes the padding.
    ///
    /// # Errors
    /// When the output fails; more bytes than the tensor has.
    pub fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(info) = self.tensors.get(self.at) else {
            return Err(Error::new(ErrorKind::Malformed, "data after the last tensor")
                .expected("the end")
                .found(format!("{} bytes", bytes.len())));
        };
        let length = bytes.len() as u64;
        let Some(left) = self.left.checked_sub(length) else {
            return Err(Error::new(ErrorKind::Malformed, "more data than the tensor has")
                .in_tensor(&info.name)
                .expected(format!("at most {} more bytes", self.left))
                .found(format!("{length}")));
        };
        self.out.write_all(bytes).map_err(failed)?;
        self.left = left;
        if left == 0 {
            let rest = info.bytes % self.alignment;
            let padding = if rest == 0 { 0 } else { self.alignment - rest };
            pad(&mut self.out, padding)?;
            self.next();
            self.pass_empty();
        }
        Ok(())
    }

    fn next(&mut self) {
        self.at += 1;
        self.left = self.tensors.get(self.at).map_or(0, |info| info.bytes);
    }

    fn pass_empty(&mut self) {
        while self.left == 0 && self.at < self.tensors.len() {
            self.next();
        }
    }

    /// The output, everything written and flushed.
    ///
    /// # Errors
    /// When the output fails; data that is missing.
    pub fn finish(mut self) -> Result<W, Error> {
        if let Some(info) = self.tensors.get(self.at) {
            return Err(Error::new(ErrorKind::Malformed, "the data of a tensor is missing")
                .in_tensor(&info.name)
                .expected(format!("{} more bytes", self.left))
                .found("the end"));
        }
        self.out.flush().map_err(failed)?;
        Ok(self.out)
    }
}
