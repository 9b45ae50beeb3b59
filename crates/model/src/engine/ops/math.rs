//! Exponential and hyperbolic tangent in f32, written so that compilers turn loops over them into vectors.
//!
//! No fused multiply-add and no branch: the same bits on every instruction set. NaN in, NaN out. The errors stated are
//! against f64 over every f32 of the range (`tests::math`). Coefficients are our own minimax fits for the relative error.

/// Lanes that reductions run in, the same on every machine: one AVX-512 register of f32.
pub(super) const LANES: usize = 16;

/// `e^x` within 1 ulp where the result is a normal number, within one denormal step below; 0 and infinity beyond.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding this leaves an integer in the low bits of the mantissa.
    const SHIFT: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has few enough bits that its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    // Comparisons instead of `max` and `min`, which would swallow NaN.
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let p = 1.381_459_9e-3;
    let p = p * r + 8.368_717e-3;
    let p = p * r + 4.166_839e-2;
    let p = p * r + 1.666_652_1e-1;
    let p = p * r + 4.999_999_4e-1;
    let e = 1.0 + (r + r * r * p);
    let n = (shifted.to_bits() as i32).wrapping_sub(SHIFT.to_bits() as i32);
    // In two steps, since 2^n itself may be no normal number where e^x is one.
    let half = n >> 1;
    e * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `tanh x` within 2 ulp.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let z = x * x;
    let p = -5.717_045e-3;
    let p = p * z + 2.065_058_8e-2;
    let p = p * z - 5.374_349_7e-2;
    let p = p * z + 1.333_149_1e-1;
    let p = p * z - 3.333_328_4e-1;
    let near = x + x * (z * p);
    let far = 1.0 - 2.0 / (exp(a + a) + 1.0);
    if a < 0.625 { near } else { far.copysign(x) }
}

/// `Phi(x)`, the normal distribution function, within 5 ulp for positive x; the error grows with `x^2` in the tail below -3, as
/// that of `e^(-x^2 / 2)` does.
#[inline(always)]
pub(super) fn normal_cdf(x: f32) -> f32 {
    let a = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    // erfc(a) e^(a^2) as a polynomial in t.
    let t = 1.0 / (1.0 + 0.4 * a);
    let p = 4.211_848_4e-2;
    let p = p * t - 1.445_513_2e-1;
    let p = p * t + 9.278_268e-2;
    let p = p * t + 7.784_516e-2;
    let p = p * t + 8.678_523e-2;
    let p = p * t + 1.903_836_6e-1;
    let p = p * t + 2.026_610_2e-1;
    let p = p * t + 2.263_343_2e-1;
    let p = p * t + 2.256_406_2e-1;
    let tail = 0.5 * (t * p) * exp(-0.5 * (x * x));
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The largest of `values`; NaN counts for nothing, -infinity without values.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    rest.iter().chain(&lanes).fold(f32::NEG_INFINITY, |top, x| if *x > top { *x } else { top })
}

/// `e^x` in f64 within 4e-13 of itself, nearer where x is near 0; a tiny number below -708, infinity above 709.
#[inline(always)]
pub(super) fn exp_f64(x: f64) -> f64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts, as above.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let low = if x < -708.0 { -708.0 } else { x };
    let clamped = if low > 709.0 { 709.0 } else { low };
    let shifted = clamped * std::f64::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    // 1 / k!; what follows is below 3e-13 where |r| <= ln 2 / 2.
    let p = 1.0 / 3_628_800.0;
    let p = p * r + 1.0 / 362_880.0;
    let p = p * r + 1.0 / 40_320.0;
    let p = p * r + 1.0 / 5_040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let e = 1.0 + (r + r * r * p);
    let n = (shifted.to_bits() as i64).wrapping_sub(SHIFT.to_bits() as i64);
    let e = e * f64::from_bits((n.wrapping_add(1023) as u64) << 52);
    if x > 709.0 { f64::INFINITY } else { e }
}
