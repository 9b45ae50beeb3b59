mod stored;

use tomo_blocks::{BlockType, Dispatch};

use crate::engine::{ErrorSums, Simulate, weight2};
use crate::matrix::{Matrix, ShapeError};

/// One number format of quantized weights.
pub struct Format {
    /// Identifier: `int4`, `int4-sym`, `nf4`, `q4_0`.
    pub id: &'static str,
    /// Name for titles.
    pub title: &'static str,
    /// The format's own source file; its `//!` header is the manual.
    pub source: &'static str,
    codec: &'static dyn Simulate,
    stored: Option<&'static BlockType>,
}

impl Format {
    /// A type of GGUF, by the codec that writes it.
    const fn of(block: &'static BlockType) -> Self {
        Self { id: block.id, title: block.title, source: block.source, codec: block, stored: Some(block) }
    }

    /// The type of GGUF whose codec makes the round trip; `None` where it is simulated.
    pub fn stored(&self) -> Option<&'static BlockType> {
        self.stored
    }

    /// Whether the format has something for the rows of a matrix. Simulated formats end rows in a short block; types of GGUF
    /// are stored in whole blocks only.
    ///
    /// # Errors
    /// [`ShapeError::Blocks`], which names what llama.cpp would store instead.
    pub fn check(&self, matrix: &Matrix<'_>) -> Result<(), ShapeError> {
        self.codec.check(matrix.cols())
    }

    /// Squared error of the format on a matrix, without writing what it makes of it. NaN where [`Format::check`] fails.
    pub fn error(&self, matrix: &Matrix<'_>) -> ErrorSums {
        self.error_with(matrix, Dispatch::Best)
    }

    /// As [`Format::error`], with the instructions chosen.
    pub fn error_with(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> ErrorSums {
        ErrorSums { error2: self.error2_with(matrix, dispatch), weight2: weight2(matrix, dispatch) }
    }

    /// `error2` of [`Format::error`] alone, for who knows the norm of the matrix already.
    pub fn error2(&self, matrix: &Matrix<'_>) -> f64 {
        self.error2_with(matrix, Dispatch::Best)
    }

    /// As [`Format::error2`], with the instructions chosen.
    pub fn error2_with(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> f64 {
        if self.check(matrix).is_err() {
            return f64::NAN;
        }
        self.codec.error2(matrix, dispatch)
    }

    /// Squared error of the format in each column of a matrix: what an error weighted by the inputs' sizes is made of.
    pub fn column_error2(&self, matrix: &Matrix<'_>) -> Vec<f64> {
        self.column_error2_with(matrix, Dispatch::Best)
    }

    /// As [`Format::column_error2`], with the instructions chosen.
    pub fn column_error2_with(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> Vec<f64> {
        // An empty matrix has columns without entries.
        let columns = if matrix.values().is_empty() { 0 } else { matrix.cols() };
        if self.check(matrix).is_err() {
            return vec![f64::NAN; columns];
        }
        let mut sums = vec![0.0; columns];
        self.codec.column_error2(matrix, &mut sums, dispatch);
        sums
    }

    /// Writes to `out` what the format makes of a matrix, row-major as the matrix.
    ///
    /// # Errors
    /// [`ShapeError::Output`] when `out` is not as long as the matrix, [`ShapeError::Blocks`] when [`Format::check`] fails.
    pub fn roundtrip(&self, matrix: &Matrix<'_>, out: &mut [f32]) -> Result<(), ShapeError> {
        self.roundtrip_with(matrix, out, Dispatch::Best)
    }

    /// As [`Format::roundtrip`], with the instructions chosen.
    ///
    /// # Errors
    /// As [`Format::roundtrip`].
    pub fn roundtrip_with(&self, matrix: &Matrix<'_>, out: &mut [f32], dispatch: Dispatch) -> Result<(), ShapeError> {
        let expected = matrix.values().len();
        if out.len() != expected {
            return Err(ShapeError::Output { expected, found: out.len() });
        }
        self.check(matrix)?;
        self.codec.roundtrip(matrix, out, dispatch);
        Ok(())
    }

    /// Bits per weight in rows of `cols` weights, scales counted, in groups of `group` where the format leaves the
    /// group open. One scale for a whole matrix (32 bits) is not counted.
    pub fn bits_per_weight(&self, cols: usize, group: usize) -> f64 {
        self.codec.bits_per_weight(cols, group)
    }

    /// Whether the group size is the caller's to choose; other formats have blocks of their own.
    pub fn takes_group(&self) -> bool {
        self.codec.takes_group()
    }
}

/// The format called `id`.
pub fn find(id: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.id == id)
}

/// Declares the format files and the ordered registry at once: a new format is its file and one line here. Types of GGUF
/// are in `tomo-blocks`, one file each, and one name each here.
macro_rules! registry {
    (gguf: $($block:ident)*; $($module:ident: $($id:literal, $title:literal, $codec:expr;)+)*) => {
        $(mod $module;)*

        /// Every format, in the order of help, tables and documents.
        pub static FORMATS: &[&Format] = &[
            $($(&Format {
                id: $id,
                title: $title,
                source: include_str!(concat!(stringify!($module), ".rs")),
                codec: &$codec,
                stored: None,
            },)+)*
            $(&Format::of(&tomo_blocks::$block),)*
        ];
    };
}

registry! {
    gguf: Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS F16 BF16;
    int:
        "int8", "INT8", int::Int::of_bits(8);
        "int7", "INT7", int::Int::of_bits(7);
        "int6", "INT6", int::Int::of_bits(6);
        "int5", "INT5", int::Int::of_bits(5);
        "int4", "INT4", int::Int::of_bits(4);
        "int3", "INT3", int::Int::of_bits(3);
        "int2", "INT2", int::Int::of_bits(2);
    int_sym:
        "int8-sym", "INT8 symmetric", int_sym::IntSym::of_bits(8);
        "int7-sym", "INT7 symmetric", int_sym::IntSym::of_bits(7);
        "int6-sym", "INT6 symmetric", int_sym::IntSym::of_bits(6);
        "int5-sym", "INT5 symmetric", int_sym::IntSym::of_bits(5);
        "int4-sym", "INT4 symmetric", int_sym::IntSym::of_bits(4);
        "int3-sym", "INT3 symmetric", int_sym::IntSym::of_bits(3);
        "int2-sym", "INT2 symmetric", int_sym::IntSym::of_bits(2);
    nf4: "nf4", "NF4", nf4::Nf4;
    q4_0: "q4_0", "Q4_0", q4_0::Q4_0;
    q8_0: "q8_0", "Q8_0", q8_0::Q8_0;
    nvfp4: "nvfp4", "NVFP4", nvfp4::NvFp4;
    mxfp4: "mxfp4", "MXFP4", mxfp4::MxFp4;
    fp8: "fp8", "FP8 E4M3", fp8::Fp8;
}
