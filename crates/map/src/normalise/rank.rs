//! Percentile rank, rank / (N - 1) from 0 to 1, ties sharing their mean rank. No outlier can flatten it.
//!
//! Ranks are taken among the scores that may be compared: over the whole map, or within each column for a metric whose
//! scope is the column. The title says which.

use super::{Normalisation, by_column, never_refused, no_note, own_scores, replace};
use crate::{MetricInfo, Place, View, stats};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "rank",
    title: |info| match info.scope.is_by_column() {
        false => "percentile rank in the map (0 lowest, 1 highest)",
        true => "percentile rank within the column (0 lowest, 1 highest)",
    },
    file: include_str!("rank.rs"),
    summary: "rank / (N - 1), ties share the mean rank; within the column where only a column may be compared",
    unit: |_| "percentile rank".into(),
    source: own_scores,
    middle: |_| Some(0.5),
    within_column,
    refuse: never_refused,
    note: no_note,
    apply: ranked,
};

fn within_column(info: &MetricInfo) -> bool {
    info.scope.is_by_column()
}

fn ranked(view: &View) -> Vec<Place> {
    if within_column(&view.info) {
        return by_column(view, percentiles);
    }
    let mut places = view.places.clone();
    let at: Vec<usize> = (0..places.len()).filter(|i| places[*i].value().is_some()).collect();
    let values: Vec<f64> = places.iter().filter_map(Place::value).collect();
    replace(&mut places, &at, percentiles(&values));
    places
}

fn percentiles(values: &[f64]) -> Result<Vec<f64>, String> {
    if values.len() < 2 {
        return Err("a single score has no rank".to_owned());
    }
    let last = values.len() as f64 - 1.0;
    Ok(stats::ranks(values).into_iter().map(|rank| (rank - 1.0) / last).collect())
}
