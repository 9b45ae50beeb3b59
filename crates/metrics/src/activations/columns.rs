//! Order statistics of the input columns.

use multiversion::multiversion;
use tomo_map::stats::median;

use super::lanes::Lanes;

/// `max_j A_j / median_j A_j`.
pub(crate) fn max_over_median(energies: &[f64]) -> Result<f64, &'static str> {
    let largest = energies.iter().copied().fold(0.0, f64::max);
    match median(energies) {
        Some(middle) if middle > 0.0 => Ok(largest / middle),
        Some(0.0) => Err("half of the input columns are zero on this text"),
        _ => Err("the inputs are not finite"),
    }
}

/// As [`max_over_median`], for a block of resamples.
///
/// Magnitudes of floats are ordered as their bits are, so that 31 rounds of counting find a median exactly, for all
/// resamples side by side.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
pub(crate) fn max_over_median_resampled(lanes: &Lanes<'_>) -> [f32; Lanes::WIDTH] {
    let columns = lanes.values;
    let mut largest = [0.0_f32; Lanes::WIDTH];
    for column in columns {
        for i in 0..Lanes::WIDTH {
            largest[i] = if column[i] > largest[i] { column[i] } else { largest[i] };
        }
    }
    let count = columns.len();
    if count == 0 {
        return [f32::NAN; Lanes::WIDTH];
    }
    let (lower, upper) = ((count - 1) / 2, count / 2);
    let low = nth(columns, lower as u32);
    let high = if upper == lower { low } else { nth(columns, upper as u32) };
    let mut ratios = [f32::NAN; Lanes::WIDTH];
    for i in 0..Lanes::WIDTH {
        let middle = 0.5 * (f32::from_bits(low[i]) + f32::from_bits(high[i]));
        // A resample without tokens holds NaN, whose bits are beyond all numbers'.
        if middle > 0.0 {
            ratios[i] = largest[i] / middle;
        }
    }
    ratios
}

/// Bits of the value of rank `rank` (from 0) in each lane: the largest number with at most `rank` values below it.
#[inline(always)]
fn nth(columns: &[[f32; Lanes::WIDTH]], rank: u32) -> [u32; Lanes::WIDTH] {
    let mut found = [0_u32; Lanes::WIDTH];
    for bit in (0..31).rev() {
        let mut below = [0_u32; Lanes::WIDTH];
        for column in columns {
            for i in 0..Lanes::WIDTH {
                below[i] += u32::from(column[i].to_bits() < found[i] | (1 << bit));
            }
        }
        for i in 0..Lanes::WIDTH {
            found[i] |= u32::from(below[i] <= rank) << bit;
        }
    }
    found
}
