use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;
use tomo_map::stats::{Reliability, SequenceTable, rank_intervals, share_in_own_decile, split_half};
use tomo_map::{Additivity, Column, Grid, Map, Score};

use crate::ground::Ground;
use crate::position::Position;
use crate::{Form, Kind, Measured, Row, Side, VerifyError, controls};

/// Family of metrics that measure what a change of a cell costs.
const CAUSAL: &str = "causal";
/// Fewest cells that are ranked: a tenth of them has to be one.
const FEWEST_CELLS: usize = 10;
/// Relative differences between a score and the mean of its sequences that are the arithmetic's.
const ROUNDING: f64 = 1e-9;

/// A map, what it is called, and what its scan kept of single sequences.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// For the reader: the path as typed.
    pub name: String,
    /// The map.
    pub map: Map,
    /// `measured.json`, if there is one.
    pub measured: Option<Measured>,
}

impl Source {
    /// A map without values by sequence.
    pub fn new(name: impl Into<String>, map: Map) -> Self {
        Self { name: name.into(), map, measured: None }
    }
}

/// What is compared and how.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// Id of the ground truth; the only causal metric where `None`.
    pub with: Option<String>,
    /// Compare maps of different models.
    pub force: bool,
    /// Resamples behind intervals.
    pub resamples: usize,
    /// Random halves behind the reliability.
    pub splits: usize,
    /// Share of the cells that "the costliest" are.
    pub top_share: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { with: None, force: false, resamples: 2000, splits: 1000, top_share: 0.1, seed: 0 }
    }
}

/// Metrics beside a ground truth.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Agreement {
    /// The ground truth.
    pub truth: Truth,
    /// Metrics and controls, the best correlation first.
    pub rows: Vec<Row>,
    /// Columns that could not be compared.
    pub left_out: Vec<LeftOut>,
    /// What a reader has to know; sentences without the full stop.
    pub notes: Vec<String>,
    /// Resamples behind intervals.
    pub resamples: usize,
    /// Cells among "the costliest".
    pub top: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// What the columns are held against.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Truth {
    /// Id of the metric.
    pub metric: String,
    /// Its name in words.
    pub title: String,
    /// Its unit.
    pub unit: String,
    /// Map it is from.
    pub map: String,
    /// Model as its map names it.
    pub model: String,
    /// Digest of the model.
    pub model_digest: String,
    /// The text it was measured on, in words.
    pub text: Option<String>,
    /// Digest of that text's tokens.
    pub text_digest: Option<String>,
    /// Tokens of that text.
    pub tokens: Option<u64>,
    /// Its sequences.
    pub sequences: Option<u64>,
    /// Cells that have a cost.
    pub cells: usize,
    /// Whether sequences were resampled too; if not, intervals are about cells alone.
    pub resamples_sequences: bool,
    /// How far the costs would come out the same again, where they were kept by sequence.
    pub reliability: Option<ReliabilityOfTruth>,
}

/// [`Reliability`] and what it means for single cells.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct ReliabilityOfTruth {
    /// Spearman's correlation of maps of two halves of the sequences.
    pub half: f64,
    /// What maps of all sequences would agree to (Spearman and Brown).
    pub whole: f64,
    /// Highest correlation to be expected of any metric.
    pub ceiling: Option<f64>,
    /// Sequences that were halved.
    pub sequences: usize,
    /// Share of the cells whose 95 % interval of ranks keeps out of the neighbouring tenths of the order.
    pub in_own_decile: Option<f64>,
}

/// A column without a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LeftOut {
    /// Id of the metric.
    pub id: String,
    /// Name of its map.
    pub map: String,
    /// Why.
    pub reason: String,
}

/// Holds every column of `maps` against the ground truth.
///
/// # Errors
/// Maps of other grids or, unless forced, of other models; no such ground truth, or one that orders fewer than ten cells.
pub fn agree(maps: &[Source], options: &Options) -> Result<Agreement, VerifyError> {
    let first = maps.first().ok_or(VerifyError::NoMap)?;
    let mut notes = Vec::new();
    for other in &maps[1..] {
        same_grid(first, other)?;
        notes.extend(same_model(first, other, options.force)?);
    }
    let (at, column) = find_truth(maps, options.with.as_deref())?;
    let costs = Costs::new(&maps[at], column, options, &mut notes)?;
    let candidates = candidates(maps, at, column);
    let mut grounds = BTreeMap::from([(costs.cells.clone(), costs.grounds(&costs.cells, options))]);
    let mut left_out = Vec::new();
    let mut compared = Vec::new();
    for candidate in candidates {
        let cells: Vec<usize> =
            costs.cells.iter().copied().filter(|at| candidate.column.scores[*at].value().is_some()).collect();
        if cells.len() < FEWEST_CELLS {
            left_out.push(candidate.left_out(cells.len()));
            continue;
        }
        if !grounds.contains_key(&cells) {
            let made = costs.grounds(&cells, options);
            grounds.insert(cells.clone(), made);
        }
        compared.push((candidate, cells));
    }
    // Each row is computed by itself, so the number of threads changes nothing.
    let mut rows: Vec<Row> =
        compared.par_iter().map(|(candidate, cells)| candidate.row(&grounds[cells], cells, &costs.numel)).collect();
    let whole = &grounds[&costs.cells];
    rows.extend(controls::rows(&whole.raw, whole.per_parameter.as_ref(), &whole.numel, options.seed));
    rows.sort_by(|a, b| {
        let strength = |row: &Row| row.strength(&row.raw).unwrap_or(f64::NEG_INFINITY);
        strength(b).total_cmp(&strength(a))
    });
    notes.extend(text_notes(maps, at));
    let top = tomo_map::stats::top_count(costs.cells.len(), options.top_share);
    Ok(Agreement { truth: costs.truth, rows, left_out, notes, resamples: options.resamples, top, seed: options.seed })
}

fn same_grid(first: &Source, other: &Source) -> Result<(), VerifyError> {
    let differ = |place: String, expected: String, found: String| {
        Err(VerifyError::Grid { first: first.name.clone(), other: other.name.clone(), place, expected, found })
    };
    let (a, b): (&Grid, &Grid) = (&first.map.grid, &other.map.grid);
    if a.layers != b.layers {
        return differ("layers".to_owned(), a.layers.to_string(), b.layers.to_string());
    }
    if a.cells.len() != b.cells.len() {
        return differ("number of cells".to_owned(), a.cells.len().to_string(), b.cells.len().to_string());
    }
    let words = |cell: &tomo_map::Cell| format!("{} of {} x {}", cell.id, cell.out_features, cell.in_features);
    match a.cells.iter().zip(&b.cells).position(|(a, b)| words(a) != words(b)) {
        Some(at) => differ(format!("cell {at}"), words(&a.cells[at]), words(&b.cells[at])),
        None => Ok(()),
    }
}

fn same_model(first: &Source, other: &Source, force: bool) -> Result<Option<String>, VerifyError> {
    let (expected, found) = (&first.map.provenance.model_digest, &other.map.provenance.model_digest);
    if expected == found {
        return Ok(None);
    }
    if force {
        return Ok(Some(format!("{} is a map of another model than {}", other.name, first.name)));
    }
    Err(VerifyError::Model {
        first: first.name.clone(),
        other: other.name.clone(),
        expected: expected.clone(),
        found: found.clone(),
    })
}

/// The map that holds the ground truth, and its column there.
fn find_truth<'a>(maps: &'a [Source], asked: Option<&str>) -> Result<(usize, &'a Column), VerifyError> {
    let columns = || (0..).zip(maps).flat_map(|(at, source)| source.map.columns.iter().map(move |c| (at, c)));
    if let Some(asked) = asked {
        return columns().find(|(_, c)| c.info.id == asked).ok_or_else(|| {
            let mut known: Vec<String> = columns().map(|(_, c)| c.info.id.to_string()).collect();
            known.sort_unstable();
            known.dedup();
            VerifyError::NoSuchMetric { asked: asked.to_owned(), known }
        });
    }
    let causal: Vec<_> = columns().filter(|(_, c)| c.info.family == CAUSAL).collect();
    match causal.first() {
        Some(first) if causal.iter().all(|(_, c)| c.info.id == first.1.info.id) => Ok(*first),
        _ => Err(VerifyError::NoTruth { found: causal.iter().map(|(_, c)| c.info.id.to_string()).collect() }),
    }
}

/// The ground truth's values and everything needed to resample them.
struct Costs<'a> {
    truth: Truth,
    column: &'a Column,
    grid: &'a Grid,
    /// Cells that have a cost, by their place in the grid.
    cells: Vec<usize>,
    /// Weights of every cell of the grid.
    numel: Vec<f64>,
    /// What each sequence said of `cells`, if it was kept; means are the scores.
    table: Option<SequenceTable>,
}

/// The ground truth over one set of cells.
struct Grounds {
    raw: Ground,
    /// The same over the number of weights, where the costs add up.
    per_parameter: Option<Ground>,
    numel: Vec<f64>,
}

impl<'a> Costs<'a> {
    fn new(
        source: &'a Source,
        column: &'a Column,
        options: &Options,
        notes: &mut Vec<String>,
    ) -> Result<Self, VerifyError> {
        let (grid, of) = (&source.map.grid, &source.map.provenance);
        let cells: Vec<usize> =
            (0..).zip(&column.scores).filter(|(_, s)| s.value().is_some()).map(|(at, _)| at).collect();
        let values: Vec<f64> = cells.iter().filter_map(|at| column.scores[*at].value()).collect();
        let too_few =
            |found| VerifyError::TooFewCells { metric: column.info.id.to_string(), expected: FEWEST_CELLS, found };
        if values.len() < FEWEST_CELLS {
            return Err(too_few(values.len()));
        }
        if values.iter().all(|v| *v == values[0]) {
            return Err(too_few(1));
        }
        let table = kept_table(source, column, &cells, &values, notes);
        let numel = grid.cells.iter().map(|c| c.numel() as f64).collect();
        let truth = Truth {
            metric: column.info.id.to_string(),
            title: column.info.title.to_string(),
            unit: column.info.unit.to_string(),
            map: source.name.clone(),
            model: of.model.clone(),
            model_digest: of.model_digest.clone(),
            text: of.text.clone(),
            text_digest: of.text_digest.clone(),
            tokens: of.tokens,
            sequences: of.sequences,
            cells: cells.len(),
            resamples_sequences: table.as_ref().is_some_and(|t| t.sequences() > 1),
            reliability: table.as_ref().and_then(|table| reliability(table, options)),
        };
        Ok(Self { truth, column, grid, cells, numel, table })
    }

    /// The ground over `cells`, which are among those with a cost.
    fn grounds(&self, cells: &[usize], options: &Options) -> Grounds {
        let positions: Vec<Position> = cells
            .iter()
            .map(|at| {
                let id = self.grid.cells[*at].id;
                Position { layer: id.layer, column: id.component.index() }
            })
            .collect();
        let values: Vec<f64> = cells.iter().filter_map(|at| self.column.scores[*at].value()).collect();
        let numel: Vec<f64> = cells.iter().map(|at| self.numel[*at]).collect();
        let places: Vec<usize> = cells.iter().filter_map(|at| self.cells.binary_search(at).ok()).collect();
        let table = self.table.as_ref().and_then(|t| t.select(&places));
        let per_weight = || {
            let shares: Vec<f64> = values.iter().zip(&numel).map(|(v, n)| v / n).collect();
            let table = table.as_ref().map(|t| t.with_means(&shares));
            Ground::new(positions.clone(), shares, table.as_ref(), options)
        };
        let per_parameter = (self.column.info.additivity == Additivity::Additive).then(per_weight);
        Grounds { raw: Ground::new(positions, values, table.as_ref(), options), per_parameter, numel }
    }
}

/// What the scan kept of single sequences, if it belongs to this map and has every cell; why not, as a note.
fn kept_table(
    source: &Source,
    column: &Column,
    cells: &[usize],
    values: &[f64],
    notes: &mut Vec<String>,
) -> Option<SequenceTable> {
    const CELLS_ONLY: &str =
        "intervals are from resampling cells only, so that what the choice of sequences leaves open is not in them";
    let Some(measured) = &source.measured else {
        notes.push(format!("there is no measured.json beside {}: {CELLS_ONLY}", source.name));
        return None;
    };
    let of = &source.map.provenance;
    let same_text = of.text_digest.as_ref().is_none_or(|digest| *digest == measured.text_digest);
    if of.model_digest != measured.model_digest || !same_text {
        notes.push(format!("measured.json beside {} is of another model or text: {CELLS_ONLY}", source.name));
        return None;
    }
    let rows = cells.iter().map(|at| &source.map.grid.cells[*at]);
    let Some(table) = measured.table(&column.info.id, rows) else {
        notes.push(format!(
            "measured.json beside {} has not every cell of {}: {CELLS_ONLY}",
            source.name, column.info.id
        ));
        return None;
    };
    if table.sequences() < 2 {
        notes.push(format!("{} was measured on one sequence: {CELLS_ONLY}", column.info.id));
    }
    let seen: Vec<usize> = (0..table.cells()).map(|cell| table.seen(cell)).collect();
    if let (Some(fewest), Some(most)) = (seen.iter().min(), seen.iter().max())
        && fewest < most
    {
        notes.push(format!("cells were measured on {fewest} to {most} sequences"));
    }
    let means = table.means();
    if means.iter().zip(values).any(|(mean, v)| (mean - v).abs() > ROUNDING * v.abs()) {
        notes.push(
            "scores are not the plain means of the sequences kept; intervals are taken around the scores".to_owned(),
        );
    }
    Some(table.with_means(values))
}

fn reliability(table: &SequenceTable, options: &Options) -> Option<ReliabilityOfTruth> {
    let Reliability { half, whole, ceiling, sequences, .. } = split_half(table, options.splits, options.seed)?;
    let intervals = rank_intervals(table, options.resamples, options.seed);
    let in_own_decile = intervals.as_deref().and_then(share_in_own_decile);
    Some(ReliabilityOfTruth { half, whole, ceiling, sequences, in_own_decile })
}

/// A column to be compared.
struct Candidate<'a> {
    map: &'a str,
    column: &'a Column,
    /// Whether another map has a column of this id.
    is_again: bool,
}

fn candidates<'a>(maps: &'a [Source], truth_at: usize, truth: &Column) -> Vec<Candidate<'a>> {
    let others = |at: usize, id: &str| maps.iter().enumerate().any(|(i, m)| i != at && m.map.column(id).is_some());
    let of_map = |(at, source): (usize, &'a Source)| {
        let columns = source.map.columns.iter().filter(move |c| at != truth_at || c.info.id != truth.info.id);
        columns.map(move |column| Candidate { map: &source.name, column, is_again: others(at, &column.info.id) })
    };
    maps.iter().enumerate().flat_map(of_map).collect()
}

impl Candidate<'_> {
    fn left_out(&self, cells: usize) -> LeftOut {
        let reason = match self.column.scores.iter().find_map(Score::reason) {
            Some(reason) if cells == 0 => reason.to_owned(),
            _ => format!("{cells} cells have a score and a cost, {FEWEST_CELLS} are needed"),
        };
        LeftOut { id: self.column.info.id.to_string(), map: self.map.to_owned(), reason }
    }

    fn row(&self, grounds: &Grounds, cells: &[usize], numel: &[f64]) -> Row {
        let info = &self.column.info;
        let side = Side::from(info.direction);
        let sign = if side == Side::Low { -1.0 } else { 1.0 };
        let scores: Vec<f64> =
            cells.iter().filter_map(|at| self.column.scores[*at].value()).map(|v| sign * v).collect();
        let per_parameter = match &grounds.per_parameter {
            Some(ground) if info.additivity == Additivity::Additive => {
                ground.form(&scores.iter().zip(cells).map(|(s, at)| s / numel[*at]).collect::<Vec<_>>())
            }
            Some(ground) => ground.form(&scores),
            None => Form::undefined("the truth does not add up over weights"),
        };
        let kind = match (info.family.as_ref(), info.proxy) {
            (CAUSAL, _) => Kind::Measured,
            (_, true) => Kind::Proxy,
            (_, false) => Kind::Metric,
        };
        Row {
            id: if self.is_again { format!("{} ({})", info.id, self.map) } else { info.id.to_string() },
            title: info.title.to_string(),
            map: self.map.to_owned(),
            kind,
            side,
            by_column: info.scope.is_by_column(),
            cells: cells.len(),
            raw: grounds.raw.form(&scores),
            per_parameter,
        }
    }
}

fn text_notes(maps: &[Source], truth_at: usize) -> Vec<String> {
    let truth = &maps[truth_at].map.provenance;
    let named = |text: &Option<String>| text.clone().unwrap_or_else(|| "a text that is not named".to_owned());
    maps.iter()
        .filter(|m| m.map.provenance.text_digest.is_some() && m.map.provenance.text_digest != truth.text_digest)
        .map(|m| {
            format!(
                "scores of {} that read a text read another than the ground truth: {}",
                m.name,
                named(&m.map.provenance.text)
            )
        })
        .collect()
}
