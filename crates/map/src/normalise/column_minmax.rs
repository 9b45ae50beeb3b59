//! Each column stretched to 0..1 over its layers. One outlier flattens its column.

use super::{Normalisation, always_within_column, by_column, never_refused, no_middle, no_note, own_scores};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "column-minmax",
    title: |_| "from the column's lowest (0) to its highest (1)",
    file: include_str!("column_minmax.rs"),
    summary: "(score - min) / (max - min) over the layers of one component; one outlier flattens its column",
    unit: |_| "position in the column".into(),
    source: own_scores,
    middle: no_middle,
    within_column: always_within_column,
    refuse: never_refused,
    note: no_note,
    apply: |view| by_column(view, stretched),
};

fn stretched(values: &[f64]) -> Result<Vec<f64>, String> {
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    // Halved so that the distance of two finite numbers stays finite.
    let span = high / 2.0 - low / 2.0;
    if values.is_empty() || span == 0.0 {
        return Err("the column has the same score in every layer".to_owned());
    }
    Ok(values.iter().map(|v| (v / 2.0 - low / 2.0) / span).collect())
}
