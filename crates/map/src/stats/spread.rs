use statrs::statistics::{Data, OrderStatistics, RankTieBreaker};

use super::{constant, scaled};

/// Median, the mean of the middle two for an even count; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let count = values.len();
    let mut data = Data::new(values.to_vec());
    let upper = data.order_statistic(count / 2 + 1);
    if count == 0 || count % 2 == 1 {
        return (count > 0).then_some(upper);
    }
    let lower = data.order_statistic(count / 2);
    // Halved first only where the sum would overflow: halving loses the last bit of the smallest numbers.
    let sum = lower + upper;
    Some(if sum.is_finite() { sum / 2.0 } else { lower / 2.0 + upper / 2.0 })
}

/// Ranks from 1, ties sharing their mean rank.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    Data::new(values.to_vec()).ranks(RankTieBreaker::Average)
}

/// (value - mean) / sd, sd with denominator n; `None` if all values are equal.
pub fn z_scores(values: &[f64]) -> Option<Vec<f64>> {
    if constant(values) {
        return None;
    }
    let (unit, _) = scaled(values);
    let n = unit.len() as f64;
    let mean = unit.iter().sum::<f64>() / n;
    let sd = (unit.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    (sd > 0.0).then(|| unit.iter().map(|v| (v - mean) / sd).collect())
}

/// Robust z: distance from the median in units of the median absolute deviation times 1.4826, which is the standard
/// deviation for Gaussian data (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993).
///
/// Where more than half of the values are equal that deviation is zero; the mean absolute deviation times 1.2533
/// takes its place, as the same book does. `None` if all values are equal.
pub fn robust_z(values: &[f64]) -> Option<Vec<f64>> {
    if constant(values) {
        return None;
    }
    let (unit, _) = scaled(values);
    let centre = median(&unit)?;
    let distances: Vec<f64> = unit.iter().map(|v| (v - centre).abs()).collect();
    let mad = median(&distances)? * 1.482_602_218_505_602;
    let spread =
        if mad > 0.0 { mad } else { distances.iter().sum::<f64>() / distances.len() as f64 * 1.253_314_137_315_500_3 };
    (spread > 0.0).then(|| unit.iter().map(|v| (v - centre) / spread).collect())
}
