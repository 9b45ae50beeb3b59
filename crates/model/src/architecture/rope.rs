//! Rotary embeddings: frequencies for a sequence of a given length.
//!
//! Frequencies are computed as transformers' `modeling_rope_utils.py` does in float32, in the same order of roundings:
//! `i / dim` is rounded before the power is taken, which moves the angle of a token at position 2000 by some 1e-5.

use std::borrow::Cow;
use std::f64::consts::PI;

/// A rotary embedding of the half-split kind: entry i of the first half of the rotated dims pairs with entry i of the
/// second half.
#[derive(Clone, PartialEq, Debug)]
pub struct Rope {
    /// Leading dims of each head that are rotated; even, at most C.
    pub dims: usize,
    /// Angles per position, of sequences that are not long.
    pub frequencies: Vec<f32>,
    /// Multiplier of cosine and sine.
    pub attention_factor: f32,
    /// What changes in long sequences.
    pub long: Option<LongRope>,
}

/// What changes in sequences of more than some number of tokens.
#[derive(Clone, PartialEq, Debug)]
pub enum LongRope {
    /// Other frequencies (longrope).
    Fixed {
        /// The longest sequence that is not long.
        context: usize,
        /// Angles per position.
        frequencies: Vec<f32>,
    },
    /// The base grows with the length (dynamic NTK).
    Growing {
        /// The longest sequence that is not long.
        context: usize,
        /// Base of sequences that are not long.
        theta: f64,
        /// How fast it grows.
        factor: f64,
    },
}

impl Rope {
    /// Angle per position of each pair (`dims / 2` of them) and the multiplier of cosine and sine, for a sequence of
    /// `length` tokens.
    pub fn for_length(&self, length: usize) -> (Cow<'_, [f32]>, f32) {
        let frequencies = match &self.long {
            Some(LongRope::Fixed { context, frequencies }) if length > *context => {
                Cow::Borrowed(frequencies.as_slice())
            }
            Some(LongRope::Growing { context, theta, factor }) if length > *context => {
                Cow::Owned(frequencies(grown(*theta, *factor, length, *context, self.dims), self.dims))
            }
            _ => Cow::Borrowed(self.frequencies.as_slice()),
        };
        (frequencies, self.attention_factor)
    }
}

/// `theta^(-2i / dims)`.
pub(crate) fn frequencies(theta: f64, dims: usize) -> Vec<f32> {
    powers(theta, dims).map(|power| 1.0 / power).collect()
}

/// `theta^(2i / dims)`: the exponent and the power are each rounded to f32.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "rounding to f32 is the point")]
fn powers(theta: f64, dims: usize) -> impl Iterator<Item = f32> {
    let base = f64::from(theta as f32);
    (0..dims).step_by(2).map(move |i| base.powf(f64::from(i as f32 / dims as f32)) as f32)
}

/// The base of dynamic NTK.
#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
fn grown(theta: f64, factor: f64, length: usize, context: usize, dims: usize) -> f64 {
    let growth = factor * length as f64 / context as f64 - (factor - 1.0);
    theta * growth.powf(dims as f64 / (dims as f64 - 2.0))
}

/// Positions divided by `factor`.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the point")]
pub(crate) fn linear(theta: f64, dims: usize, factor: f64) -> Vec<f32> {
    frequencies(theta, dims).into_iter().map(|f| f / factor as f32).collect()
}

/// Each frequency divided by its own factor.
pub(crate) fn divided(theta: f64, dims: usize, factors: &[f32]) -> Vec<f32> {
    powers(theta, dims).zip(factors).map(|(power, factor)| 1.0 / (factor * power)).collect()
}

/// The scaling of Llama 3.1: low frequencies divided by `factor`, high ones kept, a ramp in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Llama3 {
    pub(crate) factor: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) context: f64,
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the point")]
pub(crate) fn llama3(theta: f64, dims: usize, scaling: Llama3) -> Vec<f32> {
    let Llama3 { factor, low, high, context } = scaling;
    let (longest, shortest) = ((context / low) as f32, (context / high) as f32);
    let scale = |frequency: f32| {
        let wave = (2.0 * PI) as f32 / frequency;
        if wave > longest {
            return frequency / factor as f32;
        }
        if wave < shortest {
            return frequency;
        }
        let smooth = (context as f32 / wave - low as f32) / (high - low) as f32;
        (1.0 - smooth) * frequency / factor as f32 + smooth * frequency
    };
    frequencies(theta, dims).into_iter().map(scale).collect()
}

/// YaRN: low frequencies divided by `factor`, high ones kept, a ramp over the dims in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Yarn {
    pub(crate) factor: f64,
    pub(crate) context: f64,
    pub(crate) fast: f64,
    pub(crate) slow: f64,
    pub(crate) truncate: bool,
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "rounding to f32 is the point")]
pub(crate) fn yarn(theta: f64, dims: usize, scaling: Yarn) -> Vec<f32> {
    let Yarn { factor, context, fast, slow, truncate } = scaling;
    let width = dims as f64;
    let dim_of = |rotations: f64| width * (context / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let (mut low, mut high) = (dim_of(fast), dim_of(slow));
    if truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(width - 1.0));
    if low == high {
        high += 0.001;
    }
    let mix = |(i, power): (usize, f32)| {
        let ramp = ((i as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
        let kept = 1.0 - ramp;
        1.0 / (factor as f32 * power) * (1.0 - kept) + 1.0 / power * kept
    };
    powers(theta, dims).enumerate().map(mix).collect()
}

/// The multiplier of cosine and sine that YaRN's paper recommends.
pub(crate) fn yarn_attention(factor: f64, mscale: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 }
}

/// The multiplier of cosine and sine that longrope uses.
pub(crate) fn longrope_attention(factor: f64, context: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / context.ln()).sqrt() }
}
