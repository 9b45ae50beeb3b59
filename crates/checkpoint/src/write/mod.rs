//! Writing checkpoints: GGUF. (For safetensors there is the `safetensors` crate.)

mod gguf;
mod layout;
mod value;
mod writer;

pub use gguf::Gguf;
pub use layout::GgufLayout;
pub use value::GgufValue;
pub use writer::GgufWriter;

use std::io::{self, Read, Write};

use crate::{Error, ErrorKind};

fn failed(cause: io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write GGUF").found(cause.to_string())
}

/// Writes so many zeros.
fn pad(out: &mut impl Write, bytes: u64) -> Result<(), Error> {
    io::copy(&mut io::repeat(0).take(bytes), out).map(drop).map_err(failed)
}
