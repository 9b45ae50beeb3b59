//! What it costs to store a cell in a format, from the columns of a map.
//!
//! Preferred in this order:
//! 1. `quant-kl-FORMAT`: measured, with this cell alone stored so;
//! 2. measured at another format, times the ratio of what is predicted for the two (`predicted-kl-*`); where the map has no predictions,
//!    of squared errors (`err-*`, by input where it has `@x` of both). Of several measured formats the nearest by that;
//! 3. `predicted-kl-FORMAT`, or another format's, scaled likewise;
//! 4. `noise-alpha` times the squared error (HIGGS's linearity theorem);
//! 5. the squared error alone. That takes every cell for as sensitive as any other to an error of the same relative size, whatever
//!    number of weights it has: a proxy, and named as one. It is never mixed with the others, whose unit is nats per token.
//!
//! The choice is made once per format, not per cell, so that cells are compared on one scale. A cell without a score is an error,
//! not a cost of 0. What stores weights in 16 or 32 bits costs nothing unless it was measured.
//!
//! Costs stay as they were found, even where one is below 0 or does not fall with bits: formats differ in more than bits (`q4_1` can
//! beat `q5_0` on a cell), an offer that is larger and worse is never taken, and smoothing would put numbers into the plan that
//! nobody measured.

pub(crate) mod columns;
mod source;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use tomo_map::Map;

use crate::{CostSource, PlanError, Stored};

use source::Chosen;
pub(crate) use source::usable;

/// Where costs are to come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum CostModel {
    /// The best that the map has for each format.
    #[default]
    Auto,
    /// Measured at the very format, or an error.
    Measured,
    /// Measured at the very format or at another one.
    Scaled,
    /// Predicted at the very format or at another one.
    Predicted,
    /// Noise coefficient times squared error.
    Alpha,
    /// Squared error alone.
    Weights,
    /// A metric of the map: one of a format (`quant-kl-int3`) is scaled to the others by their squared errors; any other is an
    /// importance, multiplied by the squared error.
    Metric(String),
}

impl CostModel {
    const NAMED: [(&'static str, Self); 6] = [
        ("auto", Self::Auto),
        ("measured", Self::Measured),
        ("scaled", Self::Scaled),
        ("predicted", Self::Predicted),
        ("alpha", Self::Alpha),
        ("weights", Self::Weights),
    ];
}

impl FromStr for CostModel {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let named = Self::NAMED.into_iter().find(|(name, _)| *name == text);
        Ok(named.map_or_else(|| Self::Metric(text.to_owned()), |(_, model)| model))
    }
}

impl fmt::Display for CostModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(id) => f.write_str(id),
            named => f.write_str(Self::NAMED.iter().find(|(_, model)| model == named).map_or("", |(name, _)| name)),
        }
    }
}

/// What storing cells costs.
pub(crate) struct Costs {
    /// By format, a cost per cell of the grid; of cells that were not asked for, nothing.
    formats: BTreeMap<String, Vec<Option<f64>>>,
    /// Where they come from.
    pub(crate) source: CostSource,
    /// What a reader has to know.
    pub(crate) notes: Vec<String>,
}

impl Costs {
    /// Costs of every way of storing in `wanted` (parallel to the cells of the grid).
    ///
    /// # Errors
    /// Columns that the map lacks, cells without a score, integers in other groups than the map's.
    pub(crate) fn new(map: &Map, model: &CostModel, wanted: &[Vec<Stored>]) -> Result<Self, PlanError> {
        let cells = by_format(wanted);
        check_groups(map, wanted)?;
        let formats: Vec<&str> = cells.keys().map(String::as_str).collect();
        let chosen = source::choose(map, model, &formats)?;
        let mut costs = BTreeMap::new();
        for (format, cells) in &cells {
            let mut column = vec![None; map.grid.cells.len()];
            for cell in cells {
                column[*cell] =
                    Some(chosen.iter().find(|c| c.format == *format).map_or(Ok(0.0), |c| c.cost(map, *cell))?);
            }
            costs.insert(format.clone(), column);
        }
        Ok(Self { formats: costs, source: describe(&chosen), notes: notes(map, &chosen) })
    }

    /// Costs of ways to store that the map cannot reckon: 0 everywhere, of no metric, with the reason in words.
    pub(crate) fn unknown(wanted: &[Vec<Stored>], reason: &str) -> Self {
        let cells = wanted.len();
        let formats = by_format(wanted).into_keys().map(|format| (format, vec![Some(0.0); cells])).collect();
        let how = format!("not known and written as 0: the map lacks {reason}");
        let source = CostSource { metrics: Vec::new(), how: how.clone(), unit: "none".to_owned(), proxy: true };
        Self { formats, source, notes: vec![format!("its costs are {how}")] }
    }

    /// What it costs to store a cell so; 0 of what stores it as it is.
    pub(crate) fn of(&self, cell: usize, stored: Stored) -> Option<f64> {
        match format_of(stored) {
            Some(format) => *self.formats.get(&format)?.get(cell)?,
            None => Some(0.0),
        }
    }
}

/// The format as metrics name it; `None` of the checkpoint's own, which costs nothing.
fn format_of(stored: Stored) -> Option<String> {
    stored.format().filter(|format| format != "f32")
}

/// Which cells are asked for in which format.
fn by_format(wanted: &[Vec<Stored>]) -> BTreeMap<String, Vec<usize>> {
    let mut cells: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (cell, stored) in wanted.iter().enumerate() {
        for format in stored.iter().filter_map(|stored| format_of(*stored)) {
            let of = cells.entry(format).or_default();
            if of.last() != Some(&cell) {
                of.push(cell);
            }
        }
    }
    cells
}

/// The group size of integer formats where a map does not say.
const GROUP: u64 = 128;

/// A map's columns of integer formats are of one group size, which has to be the plan's.
fn check_groups(map: &Map, wanted: &[Vec<Stored>]) -> Result<(), PlanError> {
    let of_map = map.provenance.group.unwrap_or(GROUP);
    let other = wanted.iter().flatten().find_map(|stored| match stored {
        Stored::Integer { group, .. } if *group != of_map => Some((*stored, *group)),
        _ => None,
    });
    other.map_or(Ok(()), |(stored, group)| {
        Err(PlanError::Metric {
            metric: format!("what {stored} costs"),
            reason: format!(
                "the map's integer formats are in groups of {of_map}\n  hint: tomograph map --group {group}, or types in groups of {of_map}"
            ),
        })
    })
}

/// Where costs come from, in words; formats that share a way are named together.
fn describe(chosen: &[Chosen<'_>]) -> CostSource {
    let mut ways: Vec<(String, Vec<&str>)> = Vec::new();
    for one in chosen {
        let how = one.how();
        match ways.iter_mut().find(|(way, _)| *way == how) {
            Some((_, formats)) => formats.push(&one.format),
            None => ways.push((how, vec![&one.format])),
        }
    }
    let how = match ways.as_slice() {
        [] => "nothing costs anything".to_owned(),
        [(how, _)] => how.clone(),
        ways => {
            let each = ways.iter().map(|(how, formats)| format!("{}: {how}", formats.join(", ")));
            each.collect::<Vec<_>>().join("; ")
        }
    };
    let mut metrics: Vec<String> = chosen.iter().flat_map(Chosen::metrics).map(str::to_owned).collect();
    metrics.sort();
    metrics.dedup();
    let unit = source::unit(chosen);
    CostSource { metrics, how, unit, proxy: !chosen.iter().any(Chosen::is_measured) }
}

fn notes(map: &Map, chosen: &[Chosen<'_>]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let measured = chosen.iter().flat_map(Chosen::metrics).filter_map(|id| map.column(id)?.measurement.as_ref());
    for raced in measured.filter_map(|measurement| measurement.raced()) {
        let note = format!(
            "{} of {} costs were measured on part of the text only, some on {} of {} sequences; tomograph map --exact measures all",
            raced.cells, raced.of, raced.fewest, raced.sequences
        );
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}
