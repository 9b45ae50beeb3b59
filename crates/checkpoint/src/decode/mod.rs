//! Stored elements to f32, one file per group of types.
//!
//! The values are those of `gguf.quants.dequantize` (GGUF types) and of torch (the rest), bit for bit.

mod block256;
mod block32;
mod plain;

use crate::{DType, Error, ErrorKind};

/// Whether [`decode`] knows the type; if not, the error says so, with a way out.
pub(crate) fn check_decodable(dtype: DType) -> Result<(), Error> {
    decoder(dtype).map(drop)
}

/// Decodes whole blocks.
pub(crate) fn decode(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    decoder(dtype)?(bytes, out);
    Ok(())
}

/// Takes whole blocks and as many values as they hold.
type Decoder = fn(&[u8], &mut [f32]);

fn decoder(dtype: DType) -> Result<Decoder, Error> {
    Ok(match dtype {
        DType::F64 => plain::f64,
        DType::F32 => plain::f32,
        DType::F16 => plain::f16,
        DType::BF16 => plain::bf16,
        DType::F8_E4M3 => plain::f8_e4m3,
        DType::F8_E5M2 => plain::f8_e5m2,
        DType::Q4_0 => block32::q4_0,
        DType::Q4_1 => block32::q4_1,
        DType::Q5_0 => block32::q5_0,
        DType::Q5_1 => block32::q5_1,
        DType::Q8_0 => block32::q8_0,
        DType::IQ4_NL => block32::iq4_nl,
        DType::MXFP4 => block32::mxfp4,
        DType::Q2_K => block256::q2_k,
        DType::Q3_K => block256::q3_k,
        DType::Q4_K => block256::q4_k,
        DType::Q5_K => block256::q5_k,
        DType::Q6_K => block256::q6_k,
        DType::IQ4_XS => block256::iq4_xs,
        other if !other.is_weight() => {
            return Err(Error::new(ErrorKind::Unsupported, "integers are not weights")
                .expected("a floating-point or quantized type")
                .found(other.name())
                .hint(
                    "packed integers of GPTQ, AWQ or bitsandbytes need unpacking first: take the original checkpoint",
                ));
        }
        other => {
            return Err(Error::new(ErrorKind::Unsupported, "this tensor type cannot be decoded")
                .found(other.name())
                .hint("take the checkpoint in BF16, or as GGUF in one of Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS"));
        }
    })
}

/// Hands out the blocks one by one, `B` bytes and `N` values each.
#[inline(always)]
fn blocks<const B: usize, const N: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn(&[u8; B], &mut [f32; N])) {
    for (block, values) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        decode(block, values);
    }
}

fn half_at(bytes: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(bytes).to_f32()
}
