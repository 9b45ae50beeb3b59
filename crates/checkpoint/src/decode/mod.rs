//! Stored elements to f32: GGUF's types by `tomo-blocks`, and the plain ones that only safetensors has.
//!
//! The values are those of `gguf.quants.dequantize` (GGUF types) and of torch (the rest), bit for bit.

mod plain;

use crate::{DType, Error, ErrorKind};

/// Whether [`decode`] knows the type; if not, the error says so, with a way out.
pub(crate) fn check_decodable(dtype: DType) -> Result<(), Error> {
    decoder(dtype).map(drop)
}

/// Decodes whole blocks.
pub(crate) fn decode(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    match decoder(dtype)? {
        Decoder::Plain(decode) => decode(bytes, out),
        Decoder::Blocks(block) => block.decode_blocks(bytes, out),
    }
    Ok(())
}

/// Takes whole blocks and as many values as they hold.
enum Decoder {
    Plain(fn(&[u8], &mut [f32])),
    Blocks(&'static tomo_blocks::BlockType),
}

fn decoder(dtype: DType) -> Result<Decoder, Error> {
    let plain: fn(&[u8], &mut [f32]) = match dtype {
        DType::F64 => plain::f64,
        DType::F8_E4M3 => plain::f8_e4m3,
        DType::F8_E5M2 => plain::f8_e5m2,
        other if !other.is_weight() => {
            return Err(Error::new(ErrorKind::Unsupported, "integers are not weights")
                .expected("a floating-point or quantized type")
                .found(other.name())
                .hint(
                    "packed integers of GPTQ, AWQ or bitsandbytes need unpacking first: take the original checkpoint",
                ));
        }
        other => {
            return tomo_blocks::find(other.name()).map(Decoder::Blocks).ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, "this tensor type cannot be decoded").found(other.name()).hint(
                    "take the checkpoint in BF16, or as GGUF in one of Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS",
                )
            });
        }
    };
    Ok(Decoder::Plain(plain))
}
