//! Score over number of weights: what one weight carries, and what one more bit per weight can save.
//!
//! For scores that add up only. An average or a ratio is per weight already.

use super::{Normalisation, no_note, over_the_map, own_scores};
use crate::{Additivity, Place, View};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "per-parameter",
    title: |_| "per weight",
    file: include_str!("per_parameter.rs"),
    summary: "score / number of weights of the cell: benefit per bit; makes the small k and v look important",
    unit: |info| format!("{} per weight", info.unit).into(),
    source: own_scores,
    middle: |view| view.info.middle.filter(|m| *m == 0.0),
    within_column: over_the_map,
    refuse: |info, _| {
        (info.additivity != Additivity::Additive).then(|| {
            "it does not grow with the number of weights as a sum does, so dividing by that number means nothing; use raw"
                .to_owned()
        })
    },
    note: no_note,
    apply: per_weight,
};

fn per_weight(view: &View) -> Vec<Place> {
    view.places
        .iter()
        .map(|place| {
            let Some(reading) = place.reading() else { return place.clone() };
            // The score is a mean over experts, so it is divided by the mean size of an expert.
            let weights = reading.weights as f64 / f64::from(reading.experts.max(1));
            let interval = reading.interval.map(|(low, high)| (low / weights, high / weights));
            place.with_value(reading.value / weights).with_interval(interval)
        })
        .collect()
}
