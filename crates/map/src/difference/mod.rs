//! One map minus another, as a map: every output draws it as it draws any other.

mod grid;
mod statistics;

use serde::{Deserialize, Serialize};

use crate::stats::interval_of_difference;
use crate::{Additivity, Against, Column, Direction, Map, MetricInfo, Provenance, Score};

pub use statistics::{Comparison, Mover, Movers, RankCorrelation, RankedScore, Tendency};

/// What the id of a metric's difference ends in: `rms@diff`.
pub const DIFFERENCE: &str = "@diff";

/// What a difference was taken of: provenance and scores of both maps, so that a reader of the difference needs neither.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sides {
    /// What was taken away.
    pub first: Side,
    /// What it was taken away from.
    pub second: Side,
    /// What only one of them has, or both in ways that cannot be compared; whole sentences without the full stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// One of the two maps.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// Where it came from.
    pub provenance: Provenance,
    /// Its scores, parallel to the columns and cells of the difference.
    #[serde(rename = "metrics")]
    pub columns: Vec<Column>,
}

/// Something in which the two maps of a difference are not alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unlike {
    /// What: "model", "text", "seed".
    pub what: &'static str,
    /// Of the first map; empty where it has none.
    pub first: String,
    /// Of the second.
    pub second: String,
}

/// Why two maps have no difference.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DifferenceError {
    /// A cell is in one map only, or has another shape there.
    #[error("the maps have different grids: expected {expected}, found {found}")]
    OtherGrid {
        /// What the first map has.
        expected: String,
        /// What the second has instead.
        found: String,
    },
    /// No cell is in both maps.
    #[error("the maps have no cell in common")]
    NoSharedCell,
    /// No metric is in both maps in a comparable way.
    #[error("the maps have no metric in common: the first holds {first}, the second {second}")]
    NoSharedMetric {
        /// Metrics of the first.
        first: String,
        /// Metrics of the second.
        second: String,
    },
    /// A metric that was asked for is not in both.
    #[error("{metric:?} is not in both maps: they share {shared}")]
    NotShared {
        /// What was asked for.
        metric: String,
        /// What there is.
        shared: String,
    },
    /// One of them is a difference itself.
    #[error("the {which} map is a difference already: expected maps that a scan wrote")]
    IsDifference {
        /// "first" or "second".
        which: &'static str,
    },
}

impl Map {
    /// `second` minus `first`, cell by cell, for the metrics in `only` (all they share where it is empty).
    ///
    /// The columns keep their scores' unit; their ids end in [`DIFFERENCE`], zero is their natural middle, and a cell
    /// without a score on either side has the reason. Where both scores have an interval the difference has one too, as
    /// if the two were independent. With `shared_cells`, cells that only one map has and cells of another shape are no
    /// hindrance: what is in both is compared.
    ///
    /// # Errors
    /// A [`DifferenceError`]: other grids, no metric in common, one that is itself a difference.
    pub fn difference(
        first: &Self,
        second: &Self,
        only: &[String],
        shared_cells: bool,
    ) -> Result<Self, DifferenceError> {
        for (map, which) in [(first, "first"), (second, "second")] {
            if map.sides.is_some() {
                return Err(DifferenceError::IsDifference { which });
            }
        }
        let shared = grid::shared(first, second, shared_cells)?;
        let mut left_out = shared.left_out;
        let metrics = metrics(first, second, only, &mut left_out)?;
        let mut difference = Self { grid: shared.grid, provenance: provenance(first, second), ..Self::default() };
        let side = |map: &Self| Side { provenance: map.provenance.clone(), columns: Vec::new() };
        let (mut before, mut after) = (side(first), side(second));
        for (a, b) in metrics {
            let from = a.at(shared.at.iter().map(|at| at.0));
            let to = b.at(shared.at.iter().map(|at| at.1));
            let scores = from.scores.iter().zip(&to.scores).map(|(a, b)| minus(b, a)).collect();
            difference.columns.push(Column::new(info(&b.info), scores));
            before.columns.push(from);
            after.columns.push(to);
        }
        difference.sides = Some(Box::new(Sides { first: before, second: after, left_out }));
        Ok(difference)
    }
}

impl Column {
    /// The scores of some cells, by their places in the grid. How they were measured is of the whole grid and stays behind.
    fn at(&self, cells: impl Iterator<Item = usize>) -> Self {
        Self::new(self.info.clone(), cells.filter_map(|at| self.scores.get(at).cloned()).collect())
    }
}

/// Pairs of columns that can be compared; what cannot is told in `left_out`.
fn metrics<'a>(
    first: &'a Map,
    second: &'a Map,
    only: &[String],
    left_out: &mut Vec<String>,
) -> Result<Vec<(&'a Column, &'a Column)>, DifferenceError> {
    let mut pairs = Vec::new();
    let mut told = Vec::new();
    for a in &first.columns {
        match second.column(&a.info.id) {
            None => told.push(format!("{} is in the first map only", a.info.id)),
            Some(b) if a.info.unit != b.info.unit => {
                told.push(format!(
                    "{} is in {} in the first map and in {} in the second",
                    a.info.id, a.info.unit, b.info.unit
                ));
            }
            Some(b) => pairs.push((a, b)),
        }
    }
    let alone = second.columns.iter().filter(|b| first.column(&b.info.id).is_none());
    told.extend(alone.map(|b| format!("{} is in the second map only", b.info.id)));
    let ids = |map: &Map| listed(map.columns.iter().map(|c| c.info.id.as_ref()));
    if pairs.is_empty() {
        return Err(DifferenceError::NoSharedMetric { first: ids(first), second: ids(second) });
    }
    if only.is_empty() {
        left_out.append(&mut told);
        return Ok(pairs);
    }
    let asked = |id: &String| {
        pairs.iter().find(|(a, _)| a.info.id == *id).copied().ok_or_else(|| DifferenceError::NotShared {
            metric: id.clone(),
            shared: listed(pairs.iter().map(|(a, _)| a.info.id.as_ref())),
        })
    };
    only.iter().map(asked).collect()
}

fn listed<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
}

/// What the difference of a metric is.
fn info(of: &MetricInfo) -> MetricInfo {
    MetricInfo {
        id: format!("{}{DIFFERENCE}", of.id).into(),
        title: format!("{}, second minus first", of.title).into(),
        summary: format!("Second map minus first of: {}", of.summary).into(),
        direction: Direction::Neutral,
        additivity: Additivity::Signed,
        middle: Some(0.0),
        ..of.clone()
    }
}

/// `b - a`, or why there is none.
fn minus(b: &Score, a: &Score) -> Score {
    let missing = |of: &Score, which: &str| {
        Score::missing(of.status(), format!("in the {which} map: {}", of.reason().unwrap_or("no reason was given")))
    };
    let (Some(to), Some(from)) = (b.value(), a.value()) else {
        return if b.value().is_none() { missing(b, "second") } else { missing(a, "first") };
    };
    let difference = Score::from_value(to - from);
    let difference = match (a.interval(), b.interval()) {
        (Some(a), Some(b)) => {
            let (low, high) = interval_of_difference((from, a), (to, b));
            difference.with_interval(low, high)
        }
        _ => difference,
    };
    let care = [(a, "first"), (b, "second")].into_iter().filter_map(|(s, which)| Some((s.reason()?, which)));
    let care: Vec<String> = care.map(|(reason, which)| format!("in the {which} map: {reason}")).collect();
    if care.is_empty() { difference } else { difference.with_caveat(care.join("; ")) }
}

/// What the two have in common; the names say which is taken from which.
fn provenance(first: &Map, second: &Map) -> Provenance {
    let (a, b) = (&first.provenance, &second.provenance);
    let (from, to) = (last_part(&a.model), last_part(&b.model));
    let one = |a: &str, b: &str| if a == b { a.to_owned() } else { format!("{a}, {b}") };
    Provenance {
        model: if from == to { format!("{to}: second map minus first") } else { format!("{to} minus {from}") },
        family: one(&a.family, &b.family),
        format: one(&a.format, &b.format),
        dims: if a.dims == b.dims { a.dims.clone() } else { Default::default() },
        seed: b.seed,
        group: b.group.filter(|_| a.group == b.group),
        ..Provenance::default()
    }
}

/// The last part of a path, whichever way it leans.
fn last_part(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '\\']);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

impl Sides {
    /// In what the two maps are not alike, most important first. What says nothing of the scores (when a scan ran, how
    /// long, on what command) is not looked at.
    pub fn unlike(&self) -> Vec<Unlike> {
        let (a, b) = (&self.first.provenance, &self.second.provenance);
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        let against =
            |p: &Provenance, of: fn(&Against) -> &String| p.against.as_ref().map(of).cloned().unwrap_or_default();
        let rows = [
            ("model", a.model.clone(), b.model.clone()),
            ("model digest", a.model_digest.clone(), b.model_digest.clone()),
            ("compared with", against(a, |base| &base.model), against(b, |base| &base.model)),
            ("its digest", against(a, |base| &base.model_digest), against(b, |base| &base.model_digest)),
            ("family", a.family.clone(), b.family.clone()),
            ("format", a.format.clone(), b.format.clone()),
            ("text", text(&a.text), text(&b.text)),
            ("digest of the token ids", text(&a.text_digest), text(&b.text_digest)),
            ("tokens", number(a.tokens), number(b.tokens)),
            ("sequences", number(a.sequences), number(b.sequences)),
            ("loss of", text(&a.loss), text(&b.loss)),
            ("draws of labels", number(a.draws), number(b.draws)),
            ("group size of integer formats", number(a.group), number(b.group)),
            ("seed", a.seed.to_string(), b.seed.to_string()),
            ("version", a.version.clone(), b.version.clone()),
        ];
        let unlike = rows.into_iter().filter(|(_, first, second)| first != second);
        unlike.map(|(what, first, second)| Unlike { what, first, second }).collect()
    }

    /// Whether both are of one checkpoint, to the byte.
    pub fn same_model(&self) -> bool {
        self.first.provenance.model_digest == self.second.provenance.model_digest
    }

    /// Whether both ran the same tokens, or neither ran any.
    pub fn same_text(&self) -> bool {
        self.first.provenance.text_digest == self.second.provenance.text_digest
    }
}
