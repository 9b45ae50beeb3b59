//! Plain floating point: one element after the other, little endian.

pub(super) fn f64(bytes: &[u8], out: &mut [f32]) {
    for (x, y) in bytes.as_chunks().0.iter().zip(out) {
        *y = f64::from_le_bytes(*x) as f32;
    }
}

pub(super) fn f8_e4m3(bytes: &[u8], out: &mut [f32]) {
    const VALUES: [f32; 256] = table(4, 7, true);
    for (x, y) in bytes.iter().zip(out) {
        *y = VALUES[usize::from(*x)];
    }
}

pub(super) fn f8_e5m2(bytes: &[u8], out: &mut [f32]) {
    const VALUES: [f32; 256] = table(5, 15, false);
    for (x, y) in bytes.iter().zip(out) {
        *y = VALUES[usize::from(*x)];
    }
}

/// The values of all bytes of an 8-bit float (OCP OFP8): a sign, `exponent_bits`, and the rest mantissa.
///
/// `is_finite`: no infinities, and only the highest code is NaN (E4M3); otherwise as in IEEE 754 (E5M2).
const fn table(exponent_bits: u32, bias: i32, is_finite: bool) -> [f32; 256] {
    let mantissa_bits = 7 - exponent_bits;
    let mantissa_mask = (1u32 << mantissa_bits) - 1;
    let highest = (1u32 << exponent_bits) - 1;
    let mut values = [0.0; 256];
    let mut code = 0u32;
    while code < 256 {
        let exponent = code >> mantissa_bits & highest;
        let mantissa = code & mantissa_mask;
        let is_nan = exponent == highest && if is_finite { mantissa == mantissa_mask } else { mantissa != 0 };
        let magnitude = if is_nan {
            f32::NAN
        } else if exponent == highest && !is_finite {
            f32::INFINITY
        } else if exponent == 0 {
            mantissa as f32 * power_of_two(1 - bias - mantissa_bits as i32)
        } else {
            (mantissa | 1 << mantissa_bits) as f32 * power_of_two(exponent as i32 - bias - mantissa_bits as i32)
        };
        values[code as usize] = if code >= 128 { -magnitude } else { magnitude };
        code += 1;
    }
    values
}

/// 2^n for n of a normal f32.
const fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}
