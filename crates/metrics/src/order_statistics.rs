//! Exact medians of many f32 without sorting them.

/// Entries looked at to guess where the median lies.
const SAMPLE: usize = 4096;
/// Half width of the guessed bracket, in sampled ranks: six standard deviations of the sample median's rank.
const REACH: usize = 192;

/// Median absolute deviation from the median, in units of the standard deviation of a normal distribution: MAD / 0.6745.
/// `scratch` is a buffer that may be used again. 0 for no entries.
pub(crate) fn robust_sd(values: &[f32], scratch: &mut Vec<f32>) -> f64 {
    let centre = median_by(values, scratch, |x| x);
    let middle = centre as f32;
    median_by(values, scratch, |x| (x - middle).abs()) / 0.6745
}

/// Median of `key(x)` over finite `values`; the mean of the middle two when their number is even.
///
/// A sample brackets the median; one pass counts what lies below the bracket and gathers what lies inside. When the
/// bracket misses (or holds one value only, as in coarsely quantized weights) the count still tells the truth, and the
/// search falls back to selecting among all.
fn median_by(values: &[f32], scratch: &mut Vec<f32>, key: impl Fn(f32) -> f32 + Copy) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let (lower, upper) = ((values.len() - 1) / 2, values.len() / 2);
    let (from, to) = bracket(values, scratch, key);
    let below = count_below(values, from, key);
    let (first, second) = if from == to {
        let equal = values.iter().filter(|&&x| key(x) == from).count();
        if below <= lower && upper < below + equal {
            return f64::from(from);
        }
        gather(values, scratch, key, f32::NEG_INFINITY, f32::INFINITY);
        (lower, upper)
    } else {
        gather(values, scratch, key, from, to);
        if below <= lower && upper < below + scratch.len() {
            (lower - below, upper - below)
        } else {
            gather(values, scratch, key, f32::NEG_INFINITY, f32::INFINITY);
            (lower, upper)
        }
    };
    let (_, low, above) = scratch.select_nth_unstable_by(first, f32::total_cmp);
    let low = f64::from(*low);
    if first == second {
        return low;
    }
    let high = above.iter().copied().fold(f32::INFINITY, f32::min);
    0.5 * (low + f64::from(high))
}

/// Two values between which the median very probably lies, from an evenly spread sample.
fn bracket(values: &[f32], scratch: &mut Vec<f32>, key: impl Fn(f32) -> f32) -> (f32, f32) {
    scratch.clear();
    // An odd stride does not keep hitting the same column of a matrix whose width is a power of two.
    let stride = (values.len() / SAMPLE) | 1;
    scratch.extend(values.iter().step_by(stride).map(|&x| key(x)));
    scratch.sort_unstable_by(f32::total_cmp);
    let middle = scratch.len() / 2;
    (scratch[middle.saturating_sub(REACH)], scratch[(middle + REACH).min(scratch.len() - 1)])
}

fn count_below(values: &[f32], limit: f32, key: impl Fn(f32) -> f32 + Copy) -> usize {
    // Counting in 32 bits over short runs lets the compiler use the widest registers.
    values.chunks(1 << 16).map(|run| run.iter().map(|&x| u32::from(key(x) < limit)).sum::<u32>() as usize).sum()
}

/// Collects `key(x)` from `from` to `to`, both included.
fn gather(values: &[f32], scratch: &mut Vec<f32>, key: impl Fn(f32) -> f32 + Copy, from: f32, to: f32) {
    const RUN: usize = 1024;
    scratch.clear();
    let mut inside = [0.0_f32; RUN];
    for run in values.chunks(RUN) {
        let mut count = 0;
        for &x in run {
            let x = key(x);
            // Always written, kept only when inside: no branch to mispredict.
            inside[count] = x;
            count += usize::from(x >= from && x <= to);
        }
        scratch.extend_from_slice(&inside[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median_by_sorting(mut values: Vec<f32>) -> f64 {
        values.sort_unstable_by(f32::total_cmp);
        let n = values.len();
        0.5 * (f64::from(values[(n - 1) / 2]) + f64::from(values[n / 2]))
    }

    fn scrambled(count: usize, levels: u32) -> Vec<f32> {
        let mut state = 12345_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        (0..count).map(|_| (next() % levels) as f32 - levels as f32 / 3.0).collect()
    }

    #[test]
    fn medians_agree_with_sorting() {
        for count in [1, 2, 3, 10, 4095, 4096, 50_001, 300_000] {
            for levels in [1, 2, 3, 16, 1000, 1 << 24] {
                let values = scrambled(count, levels);
                let expected = median_by_sorting(values.clone());
                assert_eq!(median_by(&values, &mut Vec::new(), |x| x), expected, "{count} {levels}");
            }
        }
    }

    #[test]
    fn a_misleading_sample_does_not_change_the_median() {
        // Every sampled position holds an outlier.
        let stride = (400_000 / SAMPLE) | 1;
        let mut values = scrambled(400_000, 1 << 20);
        values.iter_mut().step_by(stride).for_each(|x| *x = 1e9);
        let expected = median_by_sorting(values.clone());
        assert_eq!(median_by(&values, &mut Vec::new(), |x| x), expected);
    }

    #[test]
    fn robust_sd_is_the_deviation_from_the_median() {
        let values = [1.0, 2.0, 3.0, 4.0, 100.0];
        assert_eq!(robust_sd(&values, &mut Vec::new()), 1.0 / 0.6745);
        assert_eq!(robust_sd(&[], &mut Vec::new()), 0.0);
    }
}
