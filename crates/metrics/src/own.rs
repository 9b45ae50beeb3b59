//! Metrics that a program which embeds us brings along for one scan: functions of a cell's weights, or of what it reads and
//! writes on a text. They are no part of the registry; maps say that such a column is its user's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tomo_map::stats::Bootstrap;
use tomo_map::{Cell, CellId, Column, Component, MetricInfo, Score, Status};
use tomo_model::Model;
use tomo_model::engine::{Observer, Port, Rows, Seen, Tap};

use crate::runner::locked;
use crate::{Matrix, Options, ScanError};

/// Why a metric of the user's failed.
pub type OwnError = Box<dyn std::error::Error + Send + Sync>;

/// A score of one cell from its weights, row-major `[out, in]`; `None` where there is nothing to say. Called from worker threads.
pub type OfWeights = dyn Fn(&Cell, Matrix<'_>) -> Result<Option<f64>, OwnError> + Send + Sync;

/// A number of one cell and one sequence from what it reads, `[T, in]`, and writes, `[T, out]` (bias included); `None` where the
/// sequence is to be left out. Called from worker threads.
pub type OfTaps = dyn Fn(&Cell, Rows<'_>, Rows<'_>) -> Result<Option<f64>, OwnError> + Send + Sync;

/// How a metric of the user's comes about.
pub enum OwnFormula {
    /// From weights: one call per cell.
    Weights(Box<OfWeights>),
    /// From taps of a pass over a text: one call per cell and sequence. The score is the mean over sequences, weighted by their
    /// tokens, with a 95 % interval from the paired bootstrap.
    Taps(Box<OfTaps>),
}

/// A metric of the user's.
pub struct OwnMetric {
    /// What its numbers are.
    pub info: MetricInfo,
    /// How they come about.
    pub formula: OwnFormula,
}

impl OwnMetric {
    /// The family of all of them, in maps.
    pub const FAMILY: &'static str = "own";

    /// Whether it takes a pass over a text.
    pub fn reads_taps(&self) -> bool {
        matches!(self.formula, OwnFormula::Taps(_))
    }

    /// The score of a cell from its weights; `None` if it reads taps.
    pub(crate) fn of_weights(&self, cell: &Cell, weights: Matrix<'_>) -> Option<Result<Score, ScanError>> {
        let OwnFormula::Weights(formula) = &self.formula else { return None };
        let score = |value: Option<f64>| value.map_or_else(no_value, Score::from_value);
        Some(formula(cell, weights).map(score).map_err(|source| self.failed(cell.id, source)))
    }

    fn failed(&self, cell: CellId, source: OwnError) -> ScanError {
        ScanError::Own { metric: self.info.id.to_string(), cell, source }
    }
}

fn no_value() -> Score {
    Score::missing(Status::Undefined, "the metric gave no value")
}

impl fmt::Debug for OwnMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.info.id)
    }
}

/// What a metric said of one cell on one sequence.
#[derive(Clone, Copy)]
struct Said {
    /// `None` where it left the sequence out.
    value: Option<f64>,
    tokens: usize,
}

/// Where cells read the same rows of one sequence.
type Place = (u32, Option<u32>, Port, usize);

/// The inputs of a place, and outputs of cells that read there.
type Pairs = (Arc<[f32]>, Vec<(Component, Vec<f32>)>);

/// What has been seen of a place and is still needed.
#[derive(Default)]
struct Waiting {
    inputs: Option<Arc<[f32]>>,
    /// Outputs that came before the inputs.
    outputs: Vec<(Component, Vec<f32>)>,
    /// Cells that have been scored.
    scored: usize,
}

/// Scores the cells of a model by the user's metrics of taps: an [`Observer`] of the pass.
pub struct OwnTaps {
    metrics: Vec<Arc<OwnMetric>>,
    cells: Vec<Cell>,
    bootstrap: Bootstrap,
    /// Tokens of each sequence.
    lengths: Vec<usize>,
    waiting: Mutex<BTreeMap<Place, Waiting>>,
    /// `[metrics][cells]`, by sequence.
    said: Vec<Vec<Mutex<BTreeMap<usize, Said>>>>,
    failure: Mutex<Option<ScanError>>,
}

impl OwnTaps {
    /// Ready to watch a pass of `model` over sequences of these lengths; `None` if none of `metrics` reads taps.
    pub fn new(model: &Model, metrics: &[Arc<OwnMetric>], options: &Options, lengths: &[usize]) -> Option<Self> {
        let metrics: Vec<_> = metrics.iter().filter(|m| m.reads_taps()).map(Arc::clone).collect();
        let cells = model.grid().cells.clone();
        let said = metrics.iter().map(|_| cells.iter().map(|_| Mutex::default()).collect()).collect();
        (!metrics.is_empty()).then(|| Self {
            metrics,
            cells,
            bootstrap: Bootstrap::new(lengths.len(), options.resamples, options.seed),
            lengths: lengths.to_vec(),
            waiting: Mutex::default(),
            said,
            failure: Mutex::default(),
        })
    }

    /// Bytes it takes during a pass, at most: copies of what cells of one layer read and write, of the rows that run together.
    pub fn memory_bytes(&self) -> u64 {
        /// Rows that a pass runs through a block together.
        const GROUP: usize = 1024;
        let rows = self.lengths.iter().copied().max().unwrap_or(0).max(GROUP) as u64;
        let mut layers = BTreeMap::<u32, BTreeMap<Port, u64>>::new();
        for cell in &self.cells {
            let widest = layers.entry(cell.id.layer).or_default().entry(Port::of(cell.id.component)).or_default();
            *widest = (*widest).max(cell.in_features.saturating_add(cell.out_features.saturating_mul(2)));
        }
        let most = layers.values().map(|ports| ports.values().fold(0_u64, |a, b| a.saturating_add(*b))).max();
        most.unwrap_or(0).saturating_mul(rows).saturating_mul(4)
    }

    /// Whether one of the metrics failed: the pass may end.
    pub fn has_failed(&self) -> bool {
        locked(&self.failure).is_some()
    }

    /// One column per metric, parallel to the model's cells. `completed` says whether the pass was not cancelled.
    ///
    /// # Errors
    /// What the first metric that failed said.
    pub fn finish(self, completed: bool) -> Result<Vec<Column>, ScanError> {
        if let Some(failure) = self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(failure);
        }
        let score = |cell: &Cell, said: &Mutex<BTreeMap<usize, Said>>| {
            score(&locked(said), cell, self.lengths.len(), completed, &self.bootstrap)
        };
        let column = |(metric, said): (&Arc<OwnMetric>, &Vec<Mutex<_>>)| {
            Column::new(
                metric.info.clone(),
                self.cells.iter().zip(said).map(|(cell, said)| score(cell, said)).collect(),
            )
        };
        Ok(self.metrics.iter().zip(&self.said).map(column).collect())
    }

    /// Cells that read at `place`.
    fn readers(&self, (layer, expert, port, _): Place) -> usize {
        let reads =
            |cell: &&Cell| (cell.id.layer, cell.id.expert) == (layer, expert) && Port::of(cell.id.component) == port;
        self.cells.iter().filter(reads).count()
    }

    /// Notes what was seen of a place; the inputs and the outputs that can be scored now.
    fn pairs(&self, place: Place, seen: &Seen<'_>) -> Option<Pairs> {
        let readers = self.readers(place);
        if readers == 0 {
            // A mixture's router reads what no cell reads.
            return None;
        }
        let values = dense(seen.rows);
        let mut all = locked(&self.waiting);
        let waiting = all.entry(place).or_default();
        match seen.tap {
            Tap::Output(component) => waiting.outputs.push((component, values)),
            _ => waiting.inputs = Some(values.into()),
        }
        let inputs = Arc::clone(waiting.inputs.as_ref()?);
        let outputs = std::mem::take(&mut waiting.outputs);
        waiting.scored += outputs.len();
        if waiting.scored == readers {
            all.remove(&place);
        }
        Some((inputs, outputs))
    }

    /// Asks every metric of one cell and sequence.
    fn score(&self, id: CellId, sequence: usize, x: &[f32], y: &[f32]) {
        let Ok(at) = self.cells.binary_search_by_key(&id, |cell| cell.id) else { return };
        let cell = &self.cells[at];
        let width = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (x, y) = (Rows::dense(x, width(cell.in_features)), Rows::dense(y, width(cell.out_features)));
        for (metric, said) in self.metrics.iter().zip(&self.said) {
            let OwnFormula::Taps(formula) = &metric.formula else { continue };
            match formula(cell, x, y) {
                Ok(value) => drop(locked(&said[at]).insert(sequence, Said { value, tokens: x.len() })),
                Err(source) => drop(locked(&self.failure).get_or_insert_with(|| metric.failed(id, source))),
            }
        }
    }
}

impl Observer for OwnTaps {
    fn wants(&self, tap: Tap) -> bool {
        matches!(tap, Tap::Input(_) | Tap::Output(_))
    }

    fn see(&self, seen: &Seen<'_>) {
        let port = match seen.tap {
            Tap::Input(port) => port,
            Tap::Output(component) => Port::of(component),
            _ => return,
        };
        if seen.sequence >= self.lengths.len() || self.has_failed() {
            return;
        }
        let Some((x, outputs)) = self.pairs((seen.layer, seen.expert, port, seen.sequence), seen) else { return };
        for (component, y) in outputs {
            let id = CellId { layer: seen.layer, component, expert: seen.expert };
            self.score(id, seen.sequence, &x, &y);
        }
    }
}

/// The pooled value over sequences, in their order, with its interval.
fn score(said: &BTreeMap<usize, Said>, cell: &Cell, sequences: usize, completed: bool, bootstrap: &Bootstrap) -> Score {
    if !completed && said.len() < sequences {
        return Score::missing(Status::NotMeasured, "the scan was cancelled before this cell");
    }
    if said.is_empty() && cell.id.expert.is_some() {
        return Score::missing(Status::Undefined, "no token was sent to this expert");
    }
    let (mut sums, mut tokens) = (vec![0.0; sequences], vec![0.0; sequences]);
    for (&sequence, said) in said {
        match said.value {
            Some(value) if !value.is_finite() => {
                return Score::missing(Status::Undefined, format!("not finite ({value}) on sequence {sequence}"));
            }
            Some(value) => {
                tokens[sequence] = said.tokens as f64;
                sums[sequence] = value * said.tokens as f64;
            }
            None => {}
        }
    }
    let (sum, count) = (sums.iter().sum::<f64>(), tokens.iter().sum::<f64>());
    if count == 0.0 {
        return no_value();
    }
    let score = Score::from_value(sum / count);
    match bootstrap.ratio(&sums, &tokens) {
        Some((low, high)) => score.with_interval(low, high),
        None => score,
    }
}

/// The rows one after the other.
fn dense(rows: Rows<'_>) -> Vec<f32> {
    rows.iter().flatten().copied().collect()
}
