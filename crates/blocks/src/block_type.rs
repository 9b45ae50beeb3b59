use std::marker::PhantomData;

use crate::dispatch::{Dispatch, Kernel, run};
use crate::error::BlockError;

/// How a type stores a row. `encode` and what it calls are `#[inline(always)]`, so that they are compiled once per
/// instruction set.
pub(crate) trait Codec {
    /// Weights of a block.
    const ELEMENTS: usize;
    /// Bytes of a block.
    const BYTES: usize;
    /// Where a block holds floats that weights may overflow, and which of the 16 bits there are all ones then.
    const FLOATS: &'static [(usize, u16)];

    /// No weight above this has a place in the type, and sums of a search may overflow above it.
    const LARGEST: f32;

    /// Encodes whole blocks of finite weights; importances are as many as weights, finite and not negative.
    fn encode(row: &[f32], importance: Option<&[f32]>, out: &mut [u8]);

    /// Decodes whole blocks.
    fn decode(bytes: &[u8], out: &mut [f32]);
}

/// Exponent bits of an f16.
pub(crate) const F16_EXPONENT: u16 = 0x7c00;
/// Largest weight that any type with an f16 scale can hold: `q6_k`, 65504 * 128 * 32.
pub(crate) const LARGEST_SCALED: f32 = 65504.0 * 128.0 * 32.0;
/// Exponent bits of a bf16.
pub(crate) const BF16_EXPONENT: u16 = 0x7f80;

/// A row of weights, with importances where there are some, to its blocks.
type Encode = fn(Dispatch, &[f32], Option<&[f32]>, &mut [u8]);

/// One way of GGUF to store a tensor's rows.
#[derive(Debug)]
pub struct BlockType {
    /// Name as ggml and llama-quantize spell it: `q4_k`, `iq4_xs`, `f16`.
    pub id: &'static str,
    /// Name in capitals, as it is written otherwise: `Q4_K`.
    pub title: &'static str,
    /// The type's own source file; its `//!` header is the manual.
    pub source: &'static str,
    /// Weights of a block; a row is a whole number of blocks.
    pub elements: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// What rows get that do not fill blocks of 256.
    smaller: Option<&'static BlockType>,
    floats: &'static [(usize, u16)],
    largest: f32,
    encode: Encode,
    decode: fn(&[u8], &mut [f32]),
}

impl BlockType {
    pub(crate) const fn new<C: Codec>(
        id: &'static str,
        title: &'static str,
        source: &'static str,
        smaller: Option<&'static BlockType>,
    ) -> Self {
        Self {
            id,
            title,
            source,
            elements: C::ELEMENTS,
            bytes: C::BYTES,
            smaller,
            floats: C::FLOATS,
            largest: C::LARGEST,
            encode: |dispatch, row, importance, out| {
                run(dispatch, EncodeKernel { codec: PhantomData::<C>, row, importance, out });
            },
            decode: C::decode,
        }
    }

    /// Bits per weight, scales counted.
    pub fn bits_per_weight(&self) -> f64 {
        8.0 * self.bytes as f64 / self.elements as f64
    }

    /// Whether rows of so many columns can be stored.
    pub fn fits(&self, columns: usize) -> bool {
        columns.is_multiple_of(self.elements)
    }

    /// Bytes of a row.
    ///
    /// # Errors
    /// [`BlockError::Columns`] when the row does not consist of whole blocks.
    pub fn row_bytes(&self, columns: usize) -> Result<usize, BlockError> {
        if self.fits(columns) {
            return Ok((columns / self.elements).saturating_mul(self.bytes));
        }
        let fallback = self.smaller(columns).id;
        Err(BlockError::Columns { id: self.id, columns, elements: self.elements, fallback })
    }

    /// The type that llama-quantize takes for rows of so many columns when asked for this one: itself where rows
    /// are whole blocks, else a type of about as many bits with blocks of 32, else `f16`.
    pub fn fallback(&'static self, columns: usize) -> &'static Self {
        if self.fits(columns) { self } else { self.smaller(columns) }
    }

    fn smaller(&self, columns: usize) -> &'static Self {
        self.smaller.filter(|t| t.fits(columns)).unwrap_or(&crate::types::F16)
    }

    /// Encodes a row as llama-quantize does, with an importance of each column (an imatrix entry divided by its count) or
    /// without. Types that have no use for importances do not look at them. A block whose columns all have importance 0
    /// may become zeros, as it does there.
    ///
    /// On an error `out` holds nothing of use.
    ///
    /// # Errors
    /// Whatever [`BlockError`] names.
    pub fn encode_row(&self, row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) -> Result<(), BlockError> {
        self.encode_row_with(row, importance, out, Dispatch::Best)
    }

    /// As [`BlockType::encode_row`], with the instructions chosen.
    ///
    /// # Errors
    /// As [`BlockType::encode_row`].
    pub fn encode_row_with(
        &self,
        row: &[f32],
        importance: Option<&[f32]>,
        out: &mut [u8],
        dispatch: Dispatch,
    ) -> Result<(), BlockError> {
        self.check_bytes(row.len(), out.len())?;
        self.check_weights(row)?;
        if let Some(importance) = importance {
            check_importance(row.len(), importance)?;
        }
        (self.encode)(dispatch, row, importance, out);
        match out.chunks_exact(self.bytes).position(|block| self.overflows(block)) {
            None => Ok(()),
            Some(block) => Err(BlockError::Range { id: self.id, column: block * self.elements }),
        }
    }

    /// Decodes a row.
    ///
    /// # Errors
    /// [`BlockError::Columns`] or [`BlockError::Bytes`] when bytes and row are not of one length.
    pub fn decode_row(&self, bytes: &[u8], out: &mut [f32]) -> Result<(), BlockError> {
        self.check_bytes(out.len(), bytes.len())?;
        (self.decode)(bytes, out);
        Ok(())
    }

    /// Decodes as many whole blocks as both slices hold.
    pub fn decode_blocks(&self, bytes: &[u8], out: &mut [f32]) {
        let blocks = (bytes.len() / self.bytes).min(out.len() / self.elements);
        (self.decode)(&bytes[..blocks * self.bytes], &mut out[..blocks * self.elements]);
    }

    fn check_bytes(&self, columns: usize, found: usize) -> Result<(), BlockError> {
        let expected = self.row_bytes(columns)?;
        if found == expected { Ok(()) } else { Err(BlockError::Bytes { id: self.id, columns, expected, found }) }
    }

    fn check_weights(&self, row: &[f32]) -> Result<(), BlockError> {
        // A maximum over the bits has no exit on the way and so vectorises; those of NaN are above those of infinity.
        let largest = row.iter().map(|w| w.to_bits() & 0x7fff_ffff).fold(0, u32::max);
        if largest <= self.largest.to_bits() {
            return Ok(());
        }
        match row.iter().position(|w| !w.is_finite()) {
            Some(column) => Err(BlockError::Weight { column, value: row[column] }),
            None => {
                let column = row.iter().position(|w| w.abs() > self.largest).unwrap_or(0);
                Err(BlockError::Range { id: self.id, column: column / self.elements * self.elements })
            }
        }
    }

    fn overflows(&self, block: &[u8]) -> bool {
        self.floats.iter().any(|(at, exponent)| u16::from_le_bytes([block[*at], block[at + 1]]) & exponent == *exponent)
    }
}

struct EncodeKernel<'a, 'b, C> {
    codec: PhantomData<C>,
    row: &'a [f32],
    importance: Option<&'a [f32]>,
    out: &'b mut [u8],
}

impl<C: Codec> Kernel for EncodeKernel<'_, '_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        C::encode(self.row, self.importance, self.out);
    }
}

/// Above it sums of a search may overflow, and a block become zeros.
const LARGEST_IMPORTANCE: f32 = 1e15;

fn check_importance(columns: usize, importance: &[f32]) -> Result<(), BlockError> {
    if importance.len() != columns {
        return Err(BlockError::Importances { columns, found: importance.len() });
    }
    match importance.iter().position(|i| !(0.0..=LARGEST_IMPORTANCE).contains(i)) {
        None => Ok(()),
        Some(column) => Err(BlockError::Importance { column, value: importance[column] }),
    }
}
