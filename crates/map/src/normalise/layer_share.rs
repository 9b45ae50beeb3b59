//! Score over the sum of its layer: which component inside a layer. Hides everything about depth.

use super::{Normalisation, over_the_map, own_scores, refuse_signed, replace, shares, unknown_total};
use crate::{Additivity, Component, Place, View};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "layer-share",
    title: |_| "share of the layer's total",
    file: include_str!("layer_share.rs"),
    summary: "score / sum over the layer's components: rows sum to 1; which component inside a layer, hides depth",
    unit: |_| "share".into(),
    source: own_scores,
    middle: |view| {
        let columns = view.components().len();
        (columns > 0).then(|| 1.0 / columns as f64)
    },
    within_column: over_the_map,
    refuse: refuse_signed,
    note: |info| {
        (info.additivity != Additivity::Additive)
            .then_some("this metric does not add up, so its share is only a way of drawing")
    },
    apply: layer_shares,
};

fn layer_shares(view: &View) -> Vec<Place> {
    let mut places = view.places.clone();
    for row in places.chunks_mut(Component::ALL.len()) {
        let at: Vec<usize> = (0..row.len()).filter(|i| row[*i].value().is_some()).collect();
        let values: Vec<f64> = row.iter().filter_map(Place::value).collect();
        let numbers = unknown_total(row, "the layer's total").map_or_else(|| shares(&values, "the layer"), Err);
        replace(row, &at, numbers);
    }
    places
}
