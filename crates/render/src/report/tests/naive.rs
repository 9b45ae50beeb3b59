//! The statistics of the report once more, in the plainest words, for checking. Nothing here is fast or shared.

use std::collections::BTreeMap;

use tomo_map::{Component, Map};

/// Scores by component and layer, experts averaged, straight from the table.
pub(super) type Table = BTreeMap<Component, BTreeMap<u32, f64>>;

pub(super) fn table(map: &Map) -> Table {
    let mut sums: BTreeMap<(Component, u32), (f64, f64)> = BTreeMap::new();
    for (cell, score) in map.grid.cells.iter().zip(&map.columns[0].scores) {
        if let Some(value) = score.value() {
            let sum = sums.entry((cell.id.component, cell.id.layer)).or_default();
            *sum = (sum.0 + value, sum.1 + 1.0);
        }
    }
    let mut table = Table::new();
    for ((component, layer), (sum, n)) in sums {
        table.entry(component).or_default().insert(layer, sum / n);
    }
    table
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

fn squares(values: &[f64]) -> f64 {
    let m = mean(values);
    values.iter().map(|v| (v - m) * (v - m)).sum()
}

/// R^2 of two means, the first `first` values in one part.
pub(super) fn split_r2(values: &[f64], first: usize) -> f64 {
    1.0 - (squares(&values[..first]) + squares(&values[first..])) / squares(values)
}

pub(super) fn best_split_r2(values: &[f64]) -> f64 {
    (2..=values.len() - 2).map(|k| split_r2(values, k)).fold(0.0, f64::max)
}

/// Intercept, slope and R^2 of the least-squares line.
pub(super) fn line(x: &[f64], y: &[f64]) -> (f64, f64, f64) {
    let (mx, my) = (mean(x), mean(y));
    let slope = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / squares(x);
    let at = my - slope * mx;
    let rest: f64 = x.iter().zip(y).map(|(x, y)| (y - at - slope * x).powi(2)).sum();
    (at, slope, 1.0 - rest / squares(y))
}

/// In how many of 400 random orders `r2` is at least as high as in the given one.
pub(super) fn orders_as_high(values: &[f64], r2: impl Fn(&[f64]) -> f64) -> usize {
    let bar = r2(values) - 1e-9;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut order = values.to_vec();
    (0..400)
        .filter(|_| {
            for i in (1..order.len()).rev() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                order.swap(i, (state % (i as u64 + 1)) as usize);
            }
            r2(&order) >= bar
        })
        .count()
}

/// Residuals in robust standard deviations; empty if they are all equal.
pub(super) fn robust_z(residuals: &[f64]) -> Vec<f64> {
    let centre = median(residuals);
    let distances: Vec<f64> = residuals.iter().map(|r| (r - centre).abs()).collect();
    let mad = median(&distances) * 1.482_602_218_505_602;
    let spread = if mad > 0.0 { mad } else { mean(&distances) * (std::f64::consts::PI / 2.0).sqrt() };
    if spread > 0.0 { residuals.iter().map(|r| (r - centre) / spread).collect() } else { Vec::new() }
}

pub(super) fn cliffs_delta(a: &[f64], b: &[f64]) -> f64 {
    let higher = a.iter().flat_map(|x| b.iter().filter(move |y| x > y)).count() as f64;
    let lower = a.iter().flat_map(|x| b.iter().filter(move |y| x < y)).count() as f64;
    (higher - lower) / (a.len() * b.len()) as f64
}
