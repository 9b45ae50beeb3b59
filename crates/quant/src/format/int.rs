//! # What it is
//! Asymmetric integers of b bits, rounded to nearest (RTN), in groups along the input dimension: `int2` ... `int8`.
//! The plain format under GPTQ, AWQ and HQQ before any of them optimises.
//!
//! # Algorithm
//! Per group: `low = min(w, 0)`, `high = max(w, 0)`, `s = (high - low) / (2^b - 1)`, `z = round(-low / s)`,
//! `q = clamp(round(w / s) + z, 0, 2^b - 1)`, `w' = (q - z) s`. All in f32, `round` to nearest with ties to even (as
//! `torch.round`), true divisions. The scale stays f32 although it is counted as 16 bits: storing it as f16 changes
//! w' by less than 2^-11 of itself. A group of zeros stays zeros. A group wider than the largest f32 rounds to NaN.
//!
//! # Bits per weight
//! `b + (16 + b) / group`: b per weight, and per group a 16-bit scale and a b-bit zero point. A short last group
//! costs as much as a full one.
//!
//! # Source
//! The definition is the RTN of GPTQ's quantizer (Frantar et al. 2022, arXiv 2210.17323), `sym=False`.

use crate::engine::{Codec, Cut};
use crate::float::{clamp, divisor, round_ties_even};
use crate::lanes::range_with_zero;

#[derive(Clone, Copy)]
pub(super) struct Int {
    bits: u32,
    /// 2^bits - 1.
    levels: f32,
}

impl Int {
    pub(super) const fn of_bits(bits: u32) -> Self {
        Self { bits, levels: ((1_u32 << bits) - 1) as f32 }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Affine {
    scale: f32,
    divisor: f32,
    zero: f32,
}

impl Codec for Int {
    type Scale = Affine;
    const CUT: Cut = Cut::ByGroup;

    #[inline(always)]
    fn scale(&self, block: &[f32], _amax: f32) -> Affine {
        let (low, high) = range_with_zero(block);
        let scale = (high - low) / self.levels;
        let divisor = divisor(scale);
        Affine { scale, divisor, zero: round_ties_even(-low / divisor) }
    }

    #[inline(always)]
    fn round(&self, by: Affine, w: f32) -> f32 {
        let q = clamp(round_ties_even(w / by.divisor) + by.zero, 0.0, self.levels);
        (q - by.zero) * by.scale
    }

    fn stored_bits(&self) -> (u32, u32) {
        (self.bits, 16 + self.bits)
    }
}
