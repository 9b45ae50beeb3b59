use std::fmt;

use crate::{Error, ErrorKind};

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $block:literal, $bytes:literal;)*) => {
        /// How a tensor's elements are stored: `block` elements in `bytes` bytes.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
        #[allow(non_camel_case_types)]
        pub enum DType { $($(#[$doc])* $variant,)* }

        impl DType {
            /// Every type that can be named.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Name as printed: `BF16`, `Q4_K`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Elements in a block (1 for plain types).
            pub const fn block_elements(self) -> usize {
                match self { $(Self::$variant => $block,)* }
            }

            /// Bytes of a block.
            pub const fn block_bytes(self) -> usize {
                match self { $(Self::$variant => $bytes,)* }
            }
        }
    };
}

dtypes! {
    /// IEEE double precision.
    F64 = "F64", 1, 8;
    /// IEEE single precision.
    F32 = "F32", 1, 4;
    /// IEEE half precision.
    F16 = "F16", 1, 2;
    /// bfloat16.
    BF16 = "BF16", 1, 2;
    /// OCP FP8 with 4 exponent bits, finite only (`e4m3fn`).
    F8_E4M3 = "F8_E4M3", 1, 1;
    /// OCP FP8 with 5 exponent bits.
    F8_E5M2 = "F8_E5M2", 1, 1;
    /// OCP FP8 with 4 exponent bits, no negative zero, bias 8; listed only.
    F8_E4M3FNUZ = "F8_E4M3FNUZ", 1, 1;
    /// OCP FP8 with 5 exponent bits, no negative zero, bias 16; listed only.
    F8_E5M2FNUZ = "F8_E5M2FNUZ", 1, 1;
    /// OCP MX scale: a power of two; listed only.
    F8_E8M0 = "F8_E8M0", 1, 1;
    /// OCP MX FP4, two to a byte; listed only.
    F4 = "F4", 2, 1;
    /// OCP MX FP6 with 2 exponent bits, four to three bytes; listed only.
    F6_E2M3 = "F6_E2M3", 4, 3;
    /// OCP MX FP6 with 3 exponent bits, four to three bytes; listed only.
    F6_E3M2 = "F6_E3M2", 4, 3;
    /// Complex number of two f32; listed only.
    C64 = "C64", 1, 8;
    /// Boolean in a byte; integers and booleans are listed, never decoded as weights.
    BOOL = "BOOL", 1, 1;
    /// 8-bit signed integer.
    I8 = "I8", 1, 1;
    /// 8-bit unsigned integer.
    U8 = "U8", 1, 1;
    /// 16-bit signed integer.
    I16 = "I16", 1, 2;
    /// 16-bit unsigned integer.
    U16 = "U16", 1, 2;
    /// 32-bit signed integer.
    I32 = "I32", 1, 4;
    /// 32-bit unsigned integer.
    U32 = "U32", 1, 4;
    /// 64-bit signed integer.
    I64 = "I64", 1, 8;
    /// 64-bit unsigned integer.
    U64 = "U64", 1, 8;
    /// GGUF 4-bit, scale.
    Q4_0 = "Q4_0", 32, 18;
    /// GGUF 4-bit, scale and minimum.
    Q4_1 = "Q4_1", 32, 20;
    /// GGUF 5-bit, scale.
    Q5_0 = "Q5_0", 32, 22;
    /// GGUF 5-bit, scale and minimum.
    Q5_1 = "Q5_1", 32, 24;
    /// GGUF 8-bit, scale.
    Q8_0 = "Q8_0", 32, 34;
    /// GGUF 2-bit K-quant.
    Q2_K = "Q2_K", 256, 84;
    /// GGUF 3-bit K-quant.
    Q3_K = "Q3_K", 256, 110;
    /// GGUF 4-bit K-quant.
    Q4_K = "Q4_K", 256, 144;
    /// GGUF 5-bit K-quant.
    Q5_K = "Q5_K", 256, 176;
    /// GGUF 6-bit K-quant.
    Q6_K = "Q6_K", 256, 210;
    /// GGUF 4-bit, non-linear levels.
    IQ4_NL = "IQ4_NL", 32, 18;
    /// GGUF 4-bit, non-linear levels, super-blocks.
    IQ4_XS = "IQ4_XS", 256, 136;
    /// OCP MX 4-bit floating point as GGUF stores it.
    MXFP4 = "MXFP4", 32, 17;
    /// GGUF 2.06 bits a weight, codebook; listed only.
    IQ2_XXS = "IQ2_XXS", 256, 66;
    /// GGUF 2.31 bits a weight, codebook; listed only.
    IQ2_XS = "IQ2_XS", 256, 74;
    /// GGUF 2.5 bits a weight, codebook; listed only.
    IQ2_S = "IQ2_S", 256, 82;
    /// GGUF 3.06 bits a weight, codebook; listed only.
    IQ3_XXS = "IQ3_XXS", 256, 98;
    /// GGUF 3.44 bits a weight, codebook; listed only.
    IQ3_S = "IQ3_S", 256, 110;
    /// GGUF 1.56 bits a weight, codebook; listed only.
    IQ1_S = "IQ1_S", 256, 50;
    /// GGUF 1.75 bits a weight, codebook; listed only.
    IQ1_M = "IQ1_M", 256, 56;
    /// GGUF ternary, 1.69 bits a weight; listed only.
    TQ1_0 = "TQ1_0", 256, 54;
    /// GGUF ternary, 2.06 bits a weight; listed only.
    TQ2_0 = "TQ2_0", 256, 66;
    /// NVIDIA 4-bit floating point as GGUF stores it; listed only.
    NVFP4 = "NVFP4", 64, 36;
    /// GGUF 1-bit, scale; listed only.
    Q1_0 = "Q1_0", 128, 18;
}

impl DType {
    /// The type of this name, as [`DType::name`] spells it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|d| d.name() == name)
    }

    /// Bytes that a tensor of this type and shape takes; `None` when the number of elements or of bytes overflows
    /// `u64`, or when the elements do not fill whole blocks.
    ///
    /// The elements are counted in the order of the dimensions, so that whoever multiplies them later cannot overflow.
    pub fn storage_bytes(self, shape: &[u64]) -> Option<u64> {
        let elements = shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim))?;
        let block = u64::try_from(self.block_elements()).ok()?;
        let bytes = u64::try_from(self.block_bytes()).ok()?;
        elements.is_multiple_of(block).then(|| (elements / block).checked_mul(bytes))?
    }

    /// Whether [`crate::Source::decode`] knows the type; the others are listed only.
    pub fn is_decodable(self) -> bool {
        crate::decode::check_decodable(self).is_ok()
    }

    /// Decodes whole blocks of this type: the values of [`crate::Source::decode`], from bytes that
    /// [`crate::Source::read`] gave.
    ///
    /// # Errors
    /// A type that cannot be decoded, or lengths that do not go together.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
        let blocks = bytes.len() / self.block_bytes();
        if bytes.len() != blocks * self.block_bytes() || out.len() != blocks * self.block_elements() {
            return Err(Error::new(ErrorKind::Missing, "bytes and values do not go together")
                .expected(format!("{} values of each {} bytes", self.block_elements(), self.block_bytes()))
                .found(format!("{} values of {} bytes", out.len(), bytes.len()))
                .hint("give whole blocks of the type"));
        }
        crate::decode::decode(self, bytes, out)
    }

    /// Whether weights can be stored this way.
    pub const fn is_weight(self) -> bool {
        !matches!(
            self,
            Self::BOOL | Self::I8 | Self::U8 | Self::I16 | Self::U16 | Self::I32 | Self::U32 | Self::I64 | Self::U64
        )
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
