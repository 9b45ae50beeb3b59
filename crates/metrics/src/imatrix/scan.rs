//! Scores from an imatrix that somebody made, without running the model.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tomo_checkpoint::Error;
use tomo_map::stats::Bootstrap;
use tomo_map::{Column, Score, Status};
use tomo_model::Model;

use super::Imatrix;
use super::names::{ImatrixName, imatrix_names};
use crate::activations::{CellFacts, Demand, Energies, Sums, score_cell};
use crate::runner::{Progress, ScanError, locked, pool, what_is_not_finite};
use crate::schedule::Schedule;
use crate::{Formula, Kind, Matrix, Request, Selected};

const NOT_HELD: &str = "the metric reads more of the activations than an imatrix holds";
const NO_TOKEN: &str = "the imatrix counts no token for this expert";

/// Scores every cell with every selected metric that reads activations and can do with mean squares of inputs:
/// `input-energy`, `wanda`, `owl-outliers`, `input-outliers` and the `err-*@x`. One column per metric that reads activations,
/// parallel to the grid's cells; no intervals, since an imatrix does not know sequences.
///
/// Cells whose tensor is not in the imatrix, and metrics that read more, are marked [`Status::NotMeasured`], with the reason.
///
/// # Errors
/// An entry of another size than the model's tensor, a cell that cannot be decoded, threads that cannot be started.
pub fn scan_imatrix(
    model: &Model,
    imatrix: &Imatrix,
    request: &Request,
    progress: &dyn Progress,
) -> Result<Vec<Column>, ScanError> {
    let selected: Vec<Selected> = request.metrics.iter().filter(|s| s.reads_activations()).copied().collect();
    if selected.is_empty() {
        return Ok(Vec::new());
    }
    let inputs = inputs_of_cells(model, imatrix)?;
    let demand = Demand::of(&selected.iter().filter(|s| is_held(s)).copied().collect::<Vec<_>>());
    let schedule = Schedule::new(model, &Request { metrics: Vec::new(), ..request.clone() });
    let pool = pool(schedule.threads)?;
    progress.start(schedule.cells(), if demand.weights { schedule.bytes() } else { 0 });
    let scan = Scan { model, request, selected: &selected, demand, progress, inputs };
    let (rows, failure) = (Mutex::new(vec![None; model.cells().len()]), Mutex::new(None));
    for phase in &schedule.phases {
        let next = AtomicUsize::new(0);
        let lane = || {
            let mut weights = Vec::new();
            while let Some(&cell) = phase.cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                if progress.is_cancelled() || locked(&failure).is_some() {
                    return;
                }
                match scan.row(cell, &mut weights) {
                    Ok(row) => locked(&rows)[cell] = Some(row),
                    Err(error) => *locked(&failure) = Some(error),
                }
            }
        };
        pool.install(|| rayon::scope(|scope| (0..phase.lanes).for_each(|_| scope.spawn(|_| lane()))));
    }
    if let Some(error) = locked(&failure).take() {
        return Err(error);
    }
    let rows = locked(&rows);
    let unmeasured = || Score::missing(Status::NotMeasured, "the scan was cancelled before this cell");
    let column = |(at, selected): (usize, &Selected)| Column {
        info: selected.info(),
        scores: rows
            .iter()
            .map(|row| row.as_ref().map_or_else(unmeasured, |row: &Vec<Score>| row[at].clone()))
            .collect(),
        measurement: None,
    };
    Ok(selected.iter().enumerate().map(column).collect())
}

/// Whether an imatrix holds what the metric reads.
fn is_held(selected: &Selected) -> bool {
    match &selected.metric.kind {
        Kind::Activations { reads, .. } => reads.are_in_an_imatrix(),
        _ => true,
    }
}

/// What the imatrix says of one cell's inputs.
enum Inputs {
    Known(Energies),
    Idle,
    Absent(Vec<ImatrixName>),
}

/// Looks up every cell's entry; sizes are checked before anything is decoded.
fn inputs_of_cells(model: &Model, imatrix: &Imatrix) -> Result<Vec<Inputs>, Error> {
    let inputs = model.cells().iter().zip(imatrix_names(model)).map(|(cell, names)| {
        let found = names.iter().find_map(|name| Some((name, imatrix.entries.get(&name.tensor)?)));
        let Some((name, entry)) = found else { return Ok(Inputs::Absent(names)) };
        let cols = usize::try_from(cell.in_features).unwrap_or(usize::MAX);
        Ok(match entry.mean_squares(&name.tensor, name.matrix, name.matrices, cols)? {
            Some((mean, tokens)) => Inputs::Known(Energies::from_mean(mean, tokens as f64)),
            None => Inputs::Idle,
        })
    });
    inputs.collect()
}

struct Scan<'a> {
    model: &'a Model,
    request: &'a Request,
    selected: &'a [Selected],
    demand: Demand,
    progress: &'a dyn Progress,
    inputs: Vec<Inputs>,
}

impl Scan<'_> {
    fn row(&self, at: usize, weights: &mut Vec<f32>) -> Result<Vec<Score>, ScanError> {
        let cell = &self.model.cells()[at];
        let all = |status: Status, reason: &str| self.selected.iter().map(|_| Score::missing(status, reason)).collect();
        let energies = match &self.inputs[at] {
            Inputs::Known(energies) => energies,
            Inputs::Idle => return Ok(all(Status::Undefined, NO_TOKEN)),
            Inputs::Absent(names) => return Ok(all(Status::NotMeasured, &absent(names))),
        };
        weights.clear();
        if self.demand.weights {
            let failed = |source| ScanError::Cell { cell: cell.id, source };
            self.model.load(at, weights).map_err(failed)?;
            self.model.release(at);
            self.progress.cell_done(cell.id, self.model.cell_bytes(at));
        }
        let cols = energies.cols;
        let matrix = Matrix { rows: weights.len() / cols.max(1), cols, values: weights };
        if let Some(reason) = what_is_not_finite(matrix, &cell.tensor) {
            return Ok(all(Status::Undefined, &reason));
        }
        let none = Bootstrap::new(0, 0, 0);
        let scores =
            score_cell(matrix, Some(energies), self.selected, &self.demand, &none, &self.request.options, true).scores;
        let facts = CellFacts {
            id: cell.id,
            rows: cell.out_features as f64,
            cols: cols as f64,
            frobenius: f64::NAN,
            experts: 0.0,
        };
        let sums = Sums {
            tokens: energies.tokens,
            input2: energies.mean.iter().sum::<f64>() * energies.tokens,
            ..Sums::default()
        };
        let row = self.selected.iter().zip(scores).map(|(selected, score)| {
            let formula = match &selected.metric.kind {
                Kind::Activations { applies, .. } if applies(cell.id).is_err() => {
                    return Score::missing(Status::NotApplicable, applies(cell.id).err().unwrap_or_default());
                }
                _ if !is_held(selected) => return Score::missing(Status::NotMeasured, NOT_HELD),
                Kind::Activations { formula: Formula::Sums(formula), .. } => formula,
                _ => return score.unwrap_or_else(|| Score::missing(Status::NotMeasured, NOT_HELD)),
            };
            match formula(&sums, &facts) {
                Ok(value) => Score::from_value(value),
                Err(reason) => Score::missing(Status::Undefined, reason),
            }
        });
        Ok(row.collect())
    }
}

fn absent(names: &[ImatrixName]) -> String {
    match names.iter().map(|name| format!("{:?}", name.tensor)).collect::<Vec<_>>().as_slice() {
        [] => "the tensor has no known GGUF name to look up in an imatrix".to_owned(),
        names => format!("the imatrix has no entry {}", names.join(" or ")),
    }
}
