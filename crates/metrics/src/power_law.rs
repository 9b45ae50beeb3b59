//! Power laws fitted to the upper end of a spectrum.

/// A fit `density ~ lambda^-alpha` of the eigenvalues from `start` on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Fit {
    /// Exponent.
    pub(crate) alpha: f64,
    /// Kolmogorov-Smirnov distance between the fit and the tail.
    pub(crate) distance: f64,
    /// Index of the smallest eigenvalue of the tail.
    pub(crate) start: usize,
}

/// Below this many eigenvalues the fit uses the estimate corrected for small samples.
const SMALL: usize = 20;
/// The shortest tail that the small-sample fit considers.
const SHORTEST_SMALL_TAIL: usize = 8;
/// Every this many points are tried first: a tail that is far off is dropped after few exponentials.
const PROBE: usize = 16;

/// Exponents of every tail. `suffix_log[i]` holds the sum of logarithms from i on.
struct Tails<'a> {
    logs: &'a [f64],
    suffix_log: Vec<f64>,
    small: bool,
}

impl<'a> Tails<'a> {
    fn new(logs: &'a [f64]) -> Self {
        let mut suffix_log = vec![0.0; logs.len() + 1];
        for i in (0..logs.len()).rev() {
            suffix_log[i] = suffix_log[i + 1] + logs[i];
        }
        Self { logs, suffix_log, small: logs.len() < SMALL }
    }

    /// Maximum-likelihood exponent of the tail from `start`, if that tail may be fitted.
    fn alpha(&self, start: usize) -> Option<f64> {
        let count = (self.logs.len() - start) as f64;
        let spread = self.suffix_log[start] - count * self.logs[start];
        let degrees = if self.small { count - 1.0 } else { count };
        let alpha = 1.0 + degrees / spread;
        (spread > 0.0 && alpha > 1.0 && alpha.is_finite()).then_some(alpha)
    }

    /// The fit from `start` if its distance is below `limit`; given up as soon as one point is farther off.
    fn fit(&self, start: usize, limit: f64) -> Option<Fit> {
        let alpha = self.alpha(start)?;
        let tail = &self.logs[start..];
        let (from, step, exponent) = (self.logs[start], 1.0 / tail.len() as f64, 1.0 - alpha);
        let gap = |k: usize| (1.0 - (exponent * (tail[k] - from)).exp() - k as f64 * step).abs();
        let mut distance = 0.0_f64;
        for offset in 0..PROBE.min(tail.len()) {
            for k in (offset..tail.len()).step_by(PROBE) {
                distance = distance.max(gap(k));
            }
            if distance >= limit {
                return None;
            }
        }
        Some(Fit { alpha, distance, start })
    }
}

/// The tail whose fit has the smallest Kolmogorov-Smirnov distance; the earliest of equals. `ascending` are positive
/// eigenvalues. `None` when no tail can be fitted (too few values, or all equal).
///
/// What is followed: weightwatcher 0.7.7, `WWFit` with a power law and default arguments. The theoretical distribution
/// is compared with the empirical one from below only (0, 1/n, .. (n-1)/n). Below 20 values that package takes `n - 1`
/// in place of n in the exponent and tails of at least 8, and then picks the smallest distance all the same.
pub(crate) fn fit(ascending: &[f64]) -> Option<Fit> {
    let logs: Vec<f64> = ascending.iter().map(|x| x.ln()).collect();
    let tails = Tails::new(&logs);
    let candidates = if tails.small { (logs.len() + 1).checked_sub(SHORTEST_SMALL_TAIL)? } else { logs.len() - 1 };
    // A coarse sweep first: its best distance lets most of the others be given up early.
    let coarse = (candidates / 32).max(1);
    let mut best: Option<Fit> = None;
    let order = (0..candidates).step_by(coarse).chain((0..candidates).filter(|i| i % coarse != 0));
    for start in order {
        // A later candidate replaces an equal one only when it starts earlier.
        let limit = match best {
            Some(b) if start < b.start => b.distance.next_up(),
            Some(b) => b.distance,
            // A tail without a fit counts as a distance of 1.
            None => 1.0,
        };
        best = tails.fit(start, limit).or(best);
    }
    best
}

/// Hill's estimate from the upper half: values from index `N / 2` on, of N `ascending` ones.
/// `None` without a spread of positive values there.
pub(crate) fn hill(ascending: &[f64]) -> Option<f64> {
    let half = &ascending[ascending.len() / 2..];
    let first = half.first().filter(|x| **x > 0.0)?.ln();
    let spread: f64 = half.iter().map(|x| x.ln() - first).sum();
    (spread > 0.0).then(|| 1.0 + half.len() as f64 / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tail, every point, no pruning.
    fn fit_plainly(ascending: &[f64]) -> Option<(usize, f64, f64)> {
        let n = ascending.len();
        let mut best: Option<(usize, f64, f64)> = None;
        for i in 0..n - 1 {
            let tail = &ascending[i..];
            let count = tail.len() as f64;
            let alpha = 1.0 + count / tail.iter().map(|x| (x / tail[0]).ln()).sum::<f64>();
            let distance = (0..tail.len())
                .map(|k| (1.0 - (tail[k] / tail[0]).powf(1.0 - alpha) - k as f64 / count).abs())
                .fold(0.0, f64::max);
            if best.is_none_or(|b| distance < b.2) {
                best = Some((i, alpha, distance));
            }
        }
        best
    }

    /// Bulk and a power-law tail, a little uneven.
    fn spectrum(count: usize, exponent: f64) -> Vec<f64> {
        let mut values: Vec<f64> = (0..count)
            .map(|i| {
                let u = (i as f64 + 0.5) / count as f64;
                let wobble = 1.0 + 0.05 * ((i * 7919 % 101) as f64 / 101.0);
                if u < 0.4 { 0.2 + u * wobble } else { (1.0 - (u - 0.4) / 0.6).powf(-1.0 / (exponent - 1.0)) * wobble }
            })
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    #[test]
    fn pruning_changes_nothing() {
        for count in [20, 21, 33, 100, 577] {
            for exponent in [1.5, 2.5, 5.0] {
                let values = spectrum(count, exponent);
                let (start, alpha, distance) = fit_plainly(&values).unwrap();
                let fit = fit(&values).unwrap();
                assert_eq!(fit.start, start, "{count} {exponent}");
                assert!((fit.alpha - alpha).abs() < 1e-9 * alpha && (fit.distance - distance).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn what_has_no_spread_has_no_fit() {
        assert_eq!(fit(&[2.0; 30]), None);
        assert_eq!(fit(&[1.0, 2.0, 3.0]), None);
        assert_eq!(hill(&[2.0; 30]), None);
        assert_eq!(hill(&[]), None);
        assert_eq!(hill(&[0.0, 0.0, 0.0, 1.0]), None);
    }

    #[test]
    fn hill_of_three_values_by_hand() {
        // N = 4: the upper half is e^1, e^3; 1 + 2 / (3 - 1).
        let values = [0.1, 0.5, 1_f64.exp(), 3_f64.exp()];
        assert!((hill(&values).unwrap() - 2.0).abs() < 1e-15);
    }
}
