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
/// Magnitudes of floats are ordered as their bits are, so that some thirty rounds of counting find a median exactly, for all
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
    let (low, high) = middle_two(columns);
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

/// Bits of the two middle values of each lane; the same twice where their number is odd.
#[inline(always)]
fn middle_two(columns: &[[f32; Lanes::WIDTH]]) -> ([u32; Lanes::WIDTH], [u32; Lanes::WIDTH]) {
    let (lower, upper) = ((columns.len() - 1) / 2, columns.len() / 2);
    let low = nth(columns, lower as u32);
    if upper == lower {
        return (low, low);
    }
    // The next one up, unless the lower one is there more than once.
    let (mut up_to, mut next) = ([0_u32; Lanes::WIDTH], [u32::MAX; Lanes::WIDTH]);
    for column in columns {
        for i in 0..Lanes::WIDTH {
            let bits = column[i].to_bits();
            let is_above = bits > low[i];
            up_to[i] += u32::from(!is_above);
            next[i] = if is_above & (bits < next[i]) { bits } else { next[i] };
        }
    }
    let mut high = low;
    for i in 0..Lanes::WIDTH {
        if up_to[i] <= upper as u32 {
            high[i] = next[i];
        }
    }
    (low, high)
}

/// Bits of the value of rank `rank` (from 0) in each lane: the largest number with at most `rank` values below it.
#[inline(always)]
fn nth(columns: &[[f32; Lanes::WIDTH]], rank: u32) -> [u32; Lanes::WIDTH] {
    let (mut all, mut some) = (u32::MAX, 0);
    for column in columns {
        for i in 0..Lanes::WIDTH {
            all &= column[i].to_bits();
            some |= column[i].to_bits();
        }
    }
    // Bits in front that all values share need no counting.
    let shared = (all ^ some).leading_zeros();
    let mask = u32::MAX.checked_shl(32 - shared).unwrap_or(0);
    let mut found = [all & mask; Lanes::WIDTH];
    for bit in (0..32 - shared).rev() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_medians_at_once_are_medians() {
        for count in [1, 2, 3, 8, 101, 300] {
            let mut state = 7_u32;
            let mut next = |levels: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) % levels) as f32 * 0.37
            };
            let columns: Vec<[f32; Lanes::WIDTH]> =
                (0..count).map(|_| std::array::from_fn(|i| next(if i % 3 == 0 { 3 } else { 1 << 20 }))).collect();
            let ratios = max_over_median_resampled(&Lanes { values: &columns });
            for (i, ratio) in ratios.iter().enumerate() {
                let mut lane: Vec<f32> = columns.iter().map(|column| column[i]).collect();
                lane.sort_by(f32::total_cmp);
                let middle = 0.5 * (lane[(count - 1) / 2] + lane[count / 2]);
                let expected = lane[count - 1] / middle;
                assert!(*ratio == expected || (middle == 0.0 && ratio.is_nan()), "{count} {i}: {ratio} {expected}");
            }
        }
    }

    #[test]
    fn a_resample_without_tokens_has_none() {
        let mut columns = vec![[2.0_f32; Lanes::WIDTH]; 5];
        columns.iter_mut().for_each(|column| column[3] = f32::NAN);
        let ratios = max_over_median_resampled(&Lanes { values: &columns });
        assert!(ratios[3].is_nan());
        assert_eq!((ratios[0], ratios[63]), (1.0, 1.0));
        assert!(max_over_median(&[0.0, 0.0, 0.0, 4.0]).is_err());
        assert_eq!(max_over_median(&[1.0, 2.0, 3.0, 5.0]), Ok(2.0));
    }
}
