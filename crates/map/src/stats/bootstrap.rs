//! The paired percentile bootstrap: the same random samples of units for every score that is compared.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Share of the resamples below and above a 95 % interval, each.
const TAIL: f64 = 0.025;

/// Random samples of `units` units (sequences of a text, say), each with replacement and as large as the original
/// (Efron 1979).
///
/// Every score takes its interval from the same samples, so that differences between scores are paired. A score that is
/// a ratio of sums (a mean over tokens) is recombined: sums and counts of the drawn units are added up first and divided
/// then, as the score itself does; a mean of the units' own ratios would be another number.
///
/// ```
/// use tomo_map::stats::Bootstrap;
///
/// // Three sequences: how often something happened, among how many tokens.
/// let (times, tokens) = ([2.0, 9.0, 4.0], [10.0, 30.0, 10.0]);
/// let bootstrap = Bootstrap::new(3, 2000, 0);
/// let (low, high) = bootstrap.ratio(&times, &tokens).ok_or("too few units")?;
/// assert!(low < 15.0 / 50.0 && 15.0 / 50.0 < high);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bootstrap {
    units: usize,
    resamples: usize,
    /// How often each unit was drawn, `[resamples, units]`.
    counts: Vec<u16>,
}

impl Bootstrap {
    /// Draws the samples. Fewer than two units or no resamples give a bootstrap without intervals.
    pub fn new(units: usize, resamples: usize, seed: u64) -> Self {
        let resamples = if units < 2 { 0 } else { resamples };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = vec![0_u16; units * resamples];
        for sample in counts.chunks_exact_mut(units.max(1)) {
            for _ in 0..units {
                let drawn = &mut sample[rng.random_range(0..units)];
                *drawn = drawn.saturating_add(1);
            }
        }
        Self { units, resamples, counts }
    }

    /// Number of units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Number of resamples; 0 where there are no intervals.
    pub fn resamples(&self) -> usize {
        self.resamples
    }

    /// How often each unit is in each resample, one slice per resample.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = &[u16]> {
        self.counts.chunks_exact(self.units.max(1))
    }

    /// 95 % interval of a score that `score` computes from how often each unit was drawn.
    ///
    /// Resamples in which the score is not finite are left out (no drawn unit has what it counts). `None` without
    /// resamples or if none is finite.
    pub fn interval(&self, score: impl FnMut(&[u16]) -> f64) -> Option<(f64, f64)> {
        Self::percentiles(self.counts().map(score).collect())
    }

    /// 95 % interval of `sum numerators / sum denominators`, unit by unit.
    pub fn ratio(&self, numerators: &[f64], denominators: &[f64]) -> Option<(f64, f64)> {
        let sum =
            |counts: &[u16], values: &[f64]| counts.iter().zip(values).map(|(n, v)| f64::from(*n) * v).sum::<f64>();
        self.interval(|counts| sum(counts, numerators) / sum(counts, denominators))
    }

    /// The 2.5th and 97.5th percentile of the finite ones among `values`, between neighbours by linear interpolation
    /// (as numpy's default). `None` if there are none.
    pub fn percentiles(mut values: Vec<f64>) -> Option<(f64, f64)> {
        values.retain(|v| v.is_finite());
        Some((quantile(&mut values, TAIL)?, quantile(&mut values, 1.0 - TAIL)?))
    }
}

/// The value below which `share` (0 to 1) of the `values` are, between neighbours by linear interpolation (as numpy's default).
/// `None` of nothing. The values are left in another order.
pub fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let place = share * values.len().checked_sub(1)? as f64;
    let below = (place.floor() as usize).min(values.len() - 1);
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    Some(if high.is_finite() { low + (place - below as f64) * (high - low) } else { low })
}
