//! Base-10 logarithm, for scores that span decades. A score of zero has none; nothing is added to it.

use super::{Normalisation, no_note, over_the_map, own_scores, refuse_signed};
use crate::{Absence, Place, View};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "log",
    title: |_| "base-10 logarithm",
    file: include_str!("log.rs"),
    summary: "log10(score): for scores that span decades; a score of zero has none",
    unit: |info| format!("log10 of {}", info.unit).into(),
    source: own_scores,
    middle: |view| view.info.middle.filter(|m| *m > 0.0).map(f64::log10),
    within_column: over_the_map,
    refuse: refuse_signed,
    note: no_note,
    apply: logarithms,
};

fn logarithms(view: &View) -> Vec<Place> {
    let log = |place: &Place| match place.reading() {
        None => place.clone(),
        Some(reading) if reading.value <= 0.0 => {
            Place::missing(Absence::Undefined, "a score that is not above zero has no logarithm")
        }
        Some(reading) => {
            let interval = reading.interval.map(|(low, high)| (low.log10(), high.log10()));
            place.with_value(reading.value.log10()).with_interval(interval)
        }
    };
    view.places.iter().map(log).collect()
}
