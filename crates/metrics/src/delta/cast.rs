use std::fmt;
use std::str::FromStr;

/// A type that both sides of a comparison are rounded to, to see what both would store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cast {
    /// bfloat16, ties to even.
    Bf16,
    /// IEEE half precision, ties to even; what is beyond its range becomes infinite, and the cell has no score.
    F16,
    /// IEEE single precision: what everything is decoded to.
    F32,
}

impl Cast {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bf16, Self::F16, Self::F32];

    /// Rounds every value.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Bf16 => values.iter_mut().for_each(|x| *x = bf16(*x)),
            Self::F16 => values.iter_mut().for_each(|x| *x = half::f16::from_f32(*x).to_f32()),
            Self::F32 => {}
        }
    }
}

/// The nearest bfloat16, ties to even; NaN stays NaN.
#[inline(always)]
pub(crate) fn bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    let rounded = f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000);
    if x.is_nan() { x } else { rounded }
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::F32 => "f32",
        })
    }
}

impl FromStr for Cast {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || format!("expected {}", Self::ALL.map(|cast| cast.to_string()).join(", "));
        Self::ALL.into_iter().find(|cast| cast.to_string() == text).ok_or_else(known)
    }
}
