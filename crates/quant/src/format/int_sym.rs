//! # What it is
//! Symmetric integers of b bits, rounded to nearest (RTN), in groups along the input dimension: `int2-sym` ...
//! `int8-sym`. No zero point; the range is cut for the larger side.
//!
//! # Algorithm
//! Per group: `s = max|w| / (2^(b-1) - 1)`, `q = clamp(round(w / s), -2^(b-1), 2^(b-1) - 1)`, `w' = q s`. All in f32,
//! `round` to nearest with ties to even (as `torch.round`), true divisions. The scale stays f32 although it is counted
//! as 16 bits. The lowest level, -2^(b-1), is never reached with this scale. A group of zeros stays zeros.
//!
//! # Bits per weight
//! `b + 16 / group`. A short last group costs as much as a full one.
//!
//! # Source
//! Symmetric RTN as in compressed-tensors and GPTQ (`sym=True`, arXiv 2210.17323).

use crate::engine::{Codec, Cut};
use crate::float::{clamp, divisor, round_ties_even};
use crate::lanes::abs_max;

#[derive(Clone, Copy)]
pub(super) struct IntSym {
    bits: u32,
    lowest: f32,
    highest: f32,
}

impl IntSym {
    pub(super) const fn of_bits(bits: u32) -> Self {
        let half = (1_u32 << (bits - 1)) as f32;
        Self { bits, lowest: -half, highest: half - 1.0 }
    }
}

impl Codec for IntSym {
    type Scale = (f32, f32);
    const CUT: Cut = Cut::ByGroup;

    #[inline(always)]
    fn scale(&self, block: &[f32], _amax: f32) -> (f32, f32) {
        let scale = abs_max(block) / self.highest;
        (scale, divisor(scale))
    }

    #[inline(always)]
    fn round(&self, (scale, divisor): (f32, f32), w: f32) -> f32 {
        clamp(round_ties_even(w / divisor), self.lowest, self.highest) * scale
    }

    fn stored_bits(&self) -> (u32, u32) {
        (self.bits, 16)
    }
}
