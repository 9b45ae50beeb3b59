//! Rounding in plain arithmetic, so that it vectorises with any instruction set and is the same with all of them.

/// 1.5 * 2^23: adding and subtracting it rounds an f32 below 2^22 to an integer, ties to even.
const INTEGER_SHIFT: f32 = 12_582_912.0;

/// Nearest integer, ties to even, as `torch.round`; exact for |x| < 2^22.
#[inline(always)]
pub(crate) fn round_ties_even(x: f32) -> f32 {
    (x + INTEGER_SHIFT) - INTEGER_SHIFT
}

/// Largest integer not above x; exact for 0 <= x < 2^22.
#[inline(always)]
pub(crate) fn floor(x: f32) -> f32 {
    let nearest = round_ties_even(x);
    nearest - if nearest > x { 1.0 } else { 0.0 }
}

/// Nearest integer, ties away from zero, as C's `roundf`; exact for |x| < 2^22.
#[inline(always)]
pub(crate) fn round_ties_away(x: f32) -> f32 {
    let magnitude = x.abs();
    let whole = floor(magnitude);
    let up = if magnitude - whole >= 0.5 { 1.0 } else { 0.0 };
    (whole + up).copysign(x)
}

/// Limits x to `low..=high`; NaN stays NaN.
#[inline(always)]
pub(crate) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// Nearest number, ties to even, of a float format with `MANTISSA` stored bits, smallest normal exponent
/// `MIN_EXPONENT` and largest number `largest`, where numbers beyond saturate. NaN stays NaN.
///
/// Adding and subtracting 1.5 * 2^23 steps of x's own binade makes the f32 adder do the rounding.
#[inline(always)]
fn round_to_float<const MANTISSA: u32, const MIN_EXPONENT: i32>(x: f32, largest: f32) -> f32 {
    let exponent_bits = x.to_bits() & 0x7f80_0000;
    let floor_bits = ((127 + MIN_EXPONENT) as u32) << 23;
    let binade = if exponent_bits > floor_bits { exponent_bits } else { floor_bits };
    // 2^(e - MANTISSA) is the step; times 2^23 is 23 - MANTISSA exponents up; the lowest bit set here makes it 1.5.
    let shift = f32::from_bits(binade.wrapping_add((23 - MANTISSA) << 23) | 0x0040_0000);
    clamp((x + shift) - shift, -largest, largest)
}

/// Nearest FP8 E4M3 ("fn": no infinity, largest 448), ties to even, saturating.
#[inline(always)]
pub(crate) fn round_to_e4m3(x: f32) -> f32 {
    round_to_float::<3, -6>(x, 448.0)
}

/// Nearest FP4 E2M1 (0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives), ties to even, saturating.
#[inline(always)]
pub(crate) fn round_to_e2m1(x: f32) -> f32 {
    round_to_float::<1, 0>(x, 6.0)
}

/// A scale to divide by: 1 when the scale is 0. Weights whose scale underflows are themselves below any step, so they
/// round to 0, and NaN stays NaN.
#[inline(always)]
pub(crate) fn divisor(scale: f32) -> f32 {
    if scale == 0.0 { 1.0 } else { scale }
}
