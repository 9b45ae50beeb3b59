//! The scores as measured.

use super::{Normalisation, never_refused, no_note, over_the_map, own_scores, own_unit};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "raw",
    title: |_| "as measured",
    file: include_str!("raw.rs"),
    summary: "the score itself; comparable only inside one metric",
    unit: own_unit,
    source: own_scores,
    middle: |view| view.info.middle,
    within_column: over_the_map,
    refuse: never_refused,
    note: no_note,
    apply: |view| view.places.clone(),
};
