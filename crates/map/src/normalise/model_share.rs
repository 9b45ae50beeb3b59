//! Score over the sum of all scores. For scores that add up only.

use super::{Normalisation, no_note, over_the_map, own_scores, refuse_unless_additive, replace, shares, unknown_total};
use crate::{Place, View};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "model-share",
    title: |_| "share of the model's total",
    file: include_str!("model_share.rs"),
    summary: "score / sum over all cells: the map sums to 1; additive scores only",
    unit: |_| "share".into(),
    source: own_scores,
    middle: |view| {
        let cells = view.values().count();
        (cells > 0).then(|| 1.0 / cells as f64)
    },
    within_column: over_the_map,
    refuse: refuse_unless_additive,
    note: no_note,
    apply: model_shares,
};

fn model_shares(view: &View) -> Vec<Place> {
    let mut places = view.places.clone();
    let at: Vec<usize> = (0..places.len()).filter(|i| places[*i].value().is_some()).collect();
    let values: Vec<f64> = places.iter().filter_map(Place::value).collect();
    let numbers = unknown_total(&places, "the model's total").map_or_else(|| shares(&values, "the model"), Err);
    replace(&mut places, &at, numbers);
    places
}
