//! What the weights of one cell and the mean squares of its inputs say together.

use rayon::prelude::*;
use tomo_map::stats::Bootstrap;
use tomo_map::{Score, Status};

use super::demand::Demand;
use super::lanes::{Energies, interval};
use super::salience::salience;
use super::weights::{ColumnSums, column_sums};
use crate::{Form, Formula, Kind, Matrix, Options, Selected};

/// What is kept of a cell that was weighed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CellScores {
    /// `||W||_F`; NaN unless it is needed.
    pub(crate) frobenius: f64,
    /// Parallel to the selection: scores of the metrics that read columns, `None` for the others.
    pub(crate) scores: Vec<Option<Score>>,
}

/// Why an expert has no score.
pub(crate) const NO_TOKEN: &str = "no token of this text was sent to this expert";

/// Scores one cell by every selected metric that reads columns. `energies` are `None` when no token came to the cell.
/// `with_inputs` says whether to score the inputs by themselves: cells that share them need that once.
pub(crate) fn score_cell(
    matrix: Matrix<'_>,
    energies: Option<&Energies>,
    selected: &[Selected],
    demand: &Demand,
    bootstrap: &Bootstrap,
    options: &Options,
    with_inputs: bool,
) -> CellScores {
    let sums = if demand.weights { Some(column_sums(matrix)) } else { None };
    let frobenius = sums.as_ref().map_or(f64::NAN, |sums| sums.squares.iter().sum::<f64>().sqrt());
    let reads_columns = |s: &Selected| {
        s.form == Form::Weighted
            || matches!(
                s.metric.kind,
                Kind::Activations { formula: Formula::Energies { .. } | Formula::Salience(_), .. }
            )
    };
    let Some(energies) = energies else {
        let none = |s: &Selected| reads_columns(s).then(|| Score::missing(Status::Undefined, NO_TOKEN));
        return CellScores { frobenius, scores: selected.iter().map(none).collect() };
    };
    let found = match &sums {
        Some(sums) if demand.salience => Some(salience(matrix, sums, energies, bootstrap, options, demand.outliers)),
        _ => None,
    };
    let one = |selected: &Selected| match (&selected.metric.kind, selected.form) {
        (Kind::Error { format }, Form::Weighted) => {
            Some(weighted_error(format, matrix, sums.as_ref()?, energies, bootstrap, options))
        }
        (Kind::Activations { formula: Formula::Energies { .. }, .. }, _) if !with_inputs => None,
        (Kind::Activations { formula: Formula::Energies { score, resampled }, .. }, _) => {
            Some(match score(&energies.mean) {
                Ok(value) => with_interval(value, interval(energies.by_block(bootstrap, resampled))),
                Err(reason) => Score::missing(Status::Undefined, reason),
            })
        }
        (Kind::Activations { formula: Formula::Salience(score), .. }, _) => {
            let (value, interval) = found.as_ref()?.score(*score);
            Some(with_interval(value, interval))
        }
        _ => None,
    };
    // Formats take the longest by far, and each sweeps the weights by itself.
    CellScores { frobenius, scores: selected.par_iter().map(one).collect() }
}

pub(crate) fn with_interval(value: f64, interval: Option<(f64, f64)>) -> Score {
    let score = Score::from_value(value);
    match interval {
        Some((low, high)) => score.with_interval(low, high),
        None => score,
    }
}

/// `sqrt(sum_j e_j A_j / sum_j w_j A_j)`, e and w being the columns' sums of squared errors and weights. Both sums are
/// linear in A, so a resample takes two numbers per sequence.
fn weighted_error(
    format: &str,
    matrix: Matrix<'_>,
    sums: &ColumnSums,
    energies: &Energies,
    bootstrap: &Bootstrap,
    options: &Options,
) -> Score {
    let Some(format) = tomo_quant::find(format) else {
        return Score::missing(Status::NotApplicable, format!("no format is called {format}"));
    };
    let matrix = tomo_quant::Matrix::new(matrix.values, matrix.cols, options.group);
    let errors = match matrix.and_then(|matrix| format.check(&matrix).map(|()| matrix)) {
        Err(shape) => return Score::missing(Status::NotApplicable, shape.to_string()),
        Ok(matrix) => format.column_error2(&matrix),
    };
    let weighed = |columns: &[f64], by: &[f64]| columns.iter().zip(by).map(|(c, a)| c * a).sum::<f64>();
    let whole = weighed(&sums.squares, &energies.mean);
    if whole == 0.0 {
        return Score::missing(Status::Undefined, "all weights are zero, or all inputs");
    }
    let value = (weighed(&errors, &energies.mean) / whole).sqrt();
    if !energies.can_resample(bootstrap) {
        return Score::from_value(value);
    }
    let (mut above, mut below) = (vec![0.0; bootstrap.units()], vec![0.0; bootstrap.units()]);
    for (sequence, sums_of) in energies.sequences.iter().zip(energies.sums.chunks_exact(energies.cols.max(1))) {
        above[*sequence] = weighed(&errors, sums_of);
        below[*sequence] = weighed(&sums.squares, sums_of);
    }
    // The root keeps the order.
    with_interval(value, bootstrap.ratio(&above, &below).map(|(low, high)| (low.sqrt(), high.sqrt())))
}
