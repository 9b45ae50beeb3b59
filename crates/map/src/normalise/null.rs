//! The score relative to random matrices of the same shape: the map's own `…@null` metric.

use super::{Normalisation, no_note, over_the_map, own_unit};
use crate::{Map, MetricInfo};

pub(super) static NORMALISATION: Normalisation = Normalisation {
    id: "null",
    title: |_| "relative to random matrices of the same shape",
    file: include_str!("null.rs"),
    summary: "the metric's @null form, measured by the scan: takes the effect of the shape out of spectral scores",
    unit: own_unit,
    source: |info| format!("{}@null", info.id).into(),
    middle: |view| view.info.middle,
    within_column: over_the_map,
    refuse,
    note: no_note,
    apply: |view| view.places.clone(),
};

fn refuse(info: &MetricInfo, map: &Map) -> Option<String> {
    if info.id.ends_with("@null") {
        return Some("it is relative to random matrices already; use raw".to_owned());
    }
    let wanted = format!("{}@null", info.id);
    map.column(&wanted)
        .is_none()
        .then(|| format!("the map holds no {wanted}; scan again with --metric {},{wanted}", info.id))
}
