//! Each column in its own standard deviations from its own mean.

use super::{Normalisation, always_within_column, by_column, never_refused, no_note, own_scores};
use crate::stats;

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "column-z",
    title: |_| "standard deviations from the column's mean",
    file: include_str!("column_z.rs"),
    summary: "(score - mean) / sd over the layers of one component, sd with denominator n",
    unit: |_| "standard deviations".into(),
    source: own_scores,
    middle: |_| Some(0.0),
    within_column: always_within_column,
    refuse: never_refused,
    note: no_note,
    apply: |view| {
        by_column(view, |values| {
            stats::z_scores(values).ok_or_else(|| "the column has the same score in every layer".to_owned())
        })
    },
};
