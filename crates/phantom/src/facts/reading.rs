//! Reading numbers out of a map, with sentences for what is not there.

use tomo_map::{CellId, Component, Map};

use crate::cells::{LAYERS, cell};

/// The value of `metric` at `id`.
pub(super) fn value(map: &Map, metric: &str, id: CellId) -> Result<f64, String> {
    if map.column(metric).is_none() {
        return Err(format!("the map has no {metric}"));
    }
    let score = map.score(metric, id).ok_or_else(|| format!("the map has no cell {id}"))?;
    let reason = || format!("{metric} of {id} is missing: {}", score.reason().unwrap_or("no reason given"));
    score.value().ok_or_else(reason)
}

/// Values of `metric` in one column over `layers`.
pub(super) fn along(
    map: &Map,
    metric: &str,
    component: Component,
    layers: impl IntoIterator<Item = u32>,
) -> Result<Vec<f64>, String> {
    layers.into_iter().map(|layer| value(map, metric, cell(layer, component))).collect()
}

/// Median of the column of `component`, all layers but `except`.
pub(super) fn column_median(map: &Map, metric: &str, component: Component, except: u32) -> Result<f64, String> {
    Ok(median(along(map, metric, component, (0..LAYERS).filter(|l| *l != except))?))
}

/// Median; of no values it is NaN, which no comparison accepts.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
    f64::midpoint(middle(values.len().saturating_sub(1) / 2), middle(values.len() / 2))
}

/// Smallest and largest.
pub(super) fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

/// Whether all of `values` lie in `low..=high`.
pub(super) fn within(values: &[f64], low: f64, high: f64) -> bool {
    !values.is_empty() && values.iter().all(|v| (low..=high).contains(v))
}
