//! What cannot be said of a metric, from the table itself.

use std::collections::BTreeMap;

use tomo_map::{Absence, Column, Component, Map, Place, Score, Status, View};

use super::claim::{Claim, Limit};
use super::gather::MIN_LAYERS;

/// Most reasons for missing scores that are spelt out.
const MOST_REASONS: usize = 3;

pub(super) fn limits(map: &Map, column: &Column, view: &View) -> Vec<Claim> {
    let mut limits = Vec::new();
    if !column.info.caveat.is_empty() {
        limits.push(Limit::Caveat(column.info.caveat.to_string()));
    }
    if !view.across_columns {
        limits.push(Limit::ColumnScope);
    }
    if column.info.proxy {
        limits.push(Limit::Proxy);
    }
    limits.extend(map.grid.missing.iter().map(|m| Limit::NoColumn(m.component, m.reason.clone())));
    limits.extend(unscored(column));
    limits.extend(care(column));
    limits.extend(experts(view));
    limits.extend(intervals(map, column));
    if let Some(measurement) = &column.measurement {
        limits.extend(measurement.raced().map(Limit::Raced));
        limits.extend(measurement.reliability.map(Limit::SelfAgreement));
    }
    let layers = u32::try_from(MIN_LAYERS).unwrap_or(u32::MAX);
    if view.values().next().is_none() {
        limits.push(Limit::Nothing);
    } else if view.layers < layers {
        limits.push(Limit::FewLayers(view.layers));
    } else {
        let short: Vec<_> =
            view.profiles().iter().filter(|p| p.points.len() < MIN_LAYERS).map(|p| p.component).collect();
        limits.extend((!short.is_empty()).then_some(Limit::ShortColumns(short)));
    }
    limits.into_iter().map(Claim::Limit).collect()
}

/// Cells without a score, the commonest reason first.
fn unscored(column: &Column) -> Vec<Limit> {
    let mut groups: BTreeMap<(&str, &str), (usize, Status)> = BTreeMap::new();
    for score in column.scores.iter().filter(|s| s.value().is_none()) {
        let key = (status_word(score.status()), score.reason().unwrap_or_default());
        groups.entry(key).or_insert((0, score.status())).0 += 1;
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (cells, _))| std::cmp::Reverse(*cells));
    let others: usize = groups.iter().skip(MOST_REASONS).map(|(_, (cells, _))| cells).sum();
    let of = column.scores.len();
    let mut limits: Vec<_> = groups
        .into_iter()
        .take(MOST_REASONS)
        .map(|((_, reason), (cells, status))| Limit::Unscored { cells, of, status, reason: reason.to_owned() })
        .collect();
    if others > 0 {
        limits.push(Limit::UnscoredOtherwise(others));
    }
    limits
}

/// Cells whose score carries a reason, and the commonest of these.
fn care(column: &Column) -> Option<Limit> {
    let scored = || column.scores.iter().filter(|s| s.value().is_some());
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    scored().filter_map(Score::reason).for_each(|reason| *reasons.entry(reason).or_default() += 1);
    let cells = reasons.values().sum();
    let (reason, _) = reasons.into_iter().max_by_key(|(_, cells)| *cells)?;
    Some(Limit::Care { cells, of: scored().count(), reason: reason.to_owned() })
}

/// The word for a status in sentences.
pub(super) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Ok => "scored",
        Status::Undefined => "undefined",
        Status::NotMeasured => "not measured",
        Status::NotApplicable => "not applicable",
    }
}

fn experts(view: &View) -> Option<Limit> {
    let readings = || view.iter().filter_map(|(_, component, place)| Some((component, place.reading()?)));
    let most = readings().map(|(_, r)| r.experts).max().unwrap_or(0);
    if most == 0 {
        return None;
    }
    let columns =
        Component::ALL.into_iter().filter(|c| readings().any(|(component, r)| component == *c && r.experts > 0));
    let left_out = readings().map(|(_, r)| u64::from(r.experts_left_out)).sum();
    Some(Limit::Experts { columns: columns.collect(), most, left_out })
}

fn intervals(map: &Map, column: &Column) -> Option<Limit> {
    let of = column.scores.len();
    let cells = column.scores.iter().filter(|s| s.interval().is_some()).count();
    if cells > 0 {
        return Some(Limit::Intervals { cells, of });
    }
    let scored = column.scores.iter().any(|s| s.value().is_some());
    let sides = map.sides.iter().flat_map(|s| [&s.first.provenance, &s.second.provenance]);
    let read_text = sides.chain([&map.provenance]).any(|p| p.text_digest.is_some());
    scored.then_some(if read_text { Limit::NoIntervals } else { Limit::Exact })
}

/// Places that hold a matrix but no number.
pub(super) fn places_without_number(view: &View) -> usize {
    let empty = |place: &Place| matches!(place, Place::Missing { absence, .. } if absence.has_cell() && *absence != Absence::NotApplicable);
    view.iter().filter(|(_, _, place)| empty(place)).count()
}
