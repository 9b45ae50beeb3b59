//! One pass over two states of every cell.

use std::sync::Mutex;

use tomo_map::{MetricInfo, Score, Status};
use tomo_model::ModelError;

use super::dense::Buffers;
use super::low_rank::{pair_sums_of, spectrum_of, what_of_factors_is_not_finite};
use super::stream::{PieceBuffers, sums_of_stored};
use super::sums::sweep;
use super::{DeltaFacts, DeltaNeeds, Factors, Pair, Pairs, StoredCell};
use crate::runner::{DEFAULT_MEMORY_BYTES, columns, locked, what_is_not_finite};
use crate::schedule::{Load, phases, run_phases, threads};
use crate::{Kind, Matrix, Options, Progress, Request, ScanError, Selected, Workspace};

/// Scores every cell of `pairs` with every selected metric of a change: one column per metric, parallel to the grid's cells.
/// Other metrics are left out.
///
/// A cell with weights that are not finite, before or after, has no scores, and says where; the scan goes on. A cancelled scan
/// returns what it has, the rest marked [`Status::NotMeasured`]. The same request gives the same bits.
///
/// # Errors
/// When a cell cannot be read or no threads can be started.
pub fn scan_delta(
    pairs: &dyn Pairs,
    request: &Request,
    progress: &dyn Progress,
) -> Result<Vec<tomo_map::Column>, ScanError> {
    let metrics: Vec<Selected> = request.metrics.iter().filter(|s| s.reads_base()).copied().collect();
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let cells = &pairs.grid().cells;
    let scan = Scan {
        pairs,
        options: &request.options,
        needs: needs_of(&metrics),
        metrics,
        rows: Mutex::new(vec![None; cells.len()]),
    };
    let threads = threads(request);
    let loads: Vec<Load> = (0..cells.len()).map(|index| scan.load(index)).collect();
    let wanted: Vec<usize> = (0..cells.len()).filter(|index| request.wants(*index)).collect();
    progress.start(wanted.len(), wanted.iter().map(|index| loads[*index].stored_bytes).sum());
    let phases = phases(&loads, wanted, request.memory_bytes.unwrap_or(DEFAULT_MEMORY_BYTES), threads);
    run_phases(&phases, threads, &|| progress.is_cancelled(), &|worker, turn| {
        let index = turn.index;
        scan.run(worker, index, turn.threads).map_err(|source| ScanError::Cell { cell: cells[index].id, source })?;
        progress.cell_done(cells[index].id, loads[index].stored_bytes);
        Ok(())
    })?;
    let infos: Vec<MetricInfo> = scan.metrics.iter().map(|selected| scan.info(selected)).collect();
    Ok(columns(scan.rows, infos.into_iter()))
}

fn needs_of(metrics: &[Selected]) -> DeltaNeeds {
    metrics.iter().fold(DeltaNeeds::NONE, |all, selected| match &selected.metric.kind {
        Kind::Delta { needs, .. } => all.or(*needs),
        _ => all,
    })
}

/// What the workers of one scan share.
struct Scan<'a> {
    pairs: &'a dyn Pairs,
    options: &'a Options,
    needs: DeltaNeeds,
    metrics: Vec<Selected>,
    /// Per cell, one score per metric; `None` until measured.
    rows: Mutex<Vec<Option<Vec<Score>>>>,
}

/// A worker's buffers, used again for every cell.
#[derive(Default)]
struct Worker {
    pieces: PieceBuffers,
    matrices: Buffers,
}

impl Scan<'_> {
    fn run(&self, worker: &mut Worker, index: usize, threads: usize) -> Result<(), ModelError> {
        let facts = self.facts(worker, index, threads)?;
        let score = |selected: &Selected| match &selected.metric.kind {
            Kind::Delta { score, .. } => score(&facts, self.options),
            _ => Score::missing(Status::NotMeasured, "the metric compares nothing"),
        };
        locked(&self.rows)[index] = Some(self.metrics.iter().map(score).collect());
        Ok(())
    }

    fn facts(&self, worker: &mut Worker, index: usize, threads: usize) -> Result<DeltaFacts, ModelError> {
        let (rows, cols) = self.shape(index);
        match self.pairs.pair(index)? {
            Pair::Missing { status, reason } => Ok(DeltaFacts::unknown(rows, cols, &Score::missing(status, reason))),
            Pair::Stored { base, tuned } => self.of_stored(worker, (rows, cols), base, tuned, threads),
            Pair::Factors { base: Some(base), change } => {
                self.of_factors(&mut worker.matrices, (rows, cols), base, &change, threads)
            }
            Pair::Factors { base: None, change } => Ok(match what_of_factors_is_not_finite(&change) {
                Some(reason) => DeltaFacts::unknown(rows, cols, &Score::missing(Status::Undefined, reason)),
                None => DeltaFacts::of_factors_alone(&change, self.needs),
            }),
        }
    }

    /// Sums piece by piece where they are all that is needed and both files have the entries in one order; else from matrices.
    fn of_stored(
        &self,
        worker: &mut Worker,
        (rows, cols): (usize, usize),
        base: StoredCell<'_>,
        tuned: StoredCell<'_>,
        threads: usize,
    ) -> Result<DeltaFacts, ModelError> {
        let cast = self.pairs.cast();
        if !self.needs.matrices()
            && let Some(sums) = sums_of_stored(base, tuned, cast, &mut worker.pieces)?
            && sums.is_finite()
        {
            return Ok(DeltaFacts::of_sums(rows, cols, sums));
        }
        let buffers = &mut worker.matrices;
        for (when, cell, values) in [("before", base, &mut buffers.base), ("after", tuned, &mut buffers.tuned)] {
            cell.model.load(cell.index, values)?;
            cell.model.release(cell.index);
            let tensor = &cell.model.cells()[cell.index].tensor;
            if let Some(what) = what_is_not_finite(Matrix { rows, cols, values }, tensor) {
                let reason = format!("{when} the change, {what}");
                return Ok(DeltaFacts::unknown(rows, cols, &Score::missing(Status::Undefined, reason)));
            }
            if let Some(cast) = cast {
                cast.apply(values);
            }
        }
        Ok(self.of_matrices(buffers, (rows, cols), threads))
    }

    /// From the factors: the change is formed a few rows at a time, and its singular values without it.
    fn of_factors(
        &self,
        buffers: &mut Buffers,
        (rows, cols): (usize, usize),
        base: StoredCell<'_>,
        change: &Factors,
        threads: usize,
    ) -> Result<DeltaFacts, ModelError> {
        base.model.load(base.index, &mut buffers.base)?;
        base.model.release(base.index);
        let tensor = &base.model.cells()[base.index].tensor;
        let before = what_is_not_finite(Matrix { rows, cols, values: &buffers.base }, tensor);
        let before = before.map(|what| format!("before the change, {what}"));
        if let Some(reason) = before.or_else(|| what_of_factors_is_not_finite(change)) {
            return Ok(DeltaFacts::unknown(rows, cols, &Score::missing(Status::Undefined, reason)));
        }
        let cast = self.pairs.cast();
        if cast.is_some() || change.magnitude.is_some() {
            buffers.tuned.resize(buffers.base.len(), 0.0);
            change.tuned(&buffers.base, &mut buffers.tuned);
            if let Some(cast) = cast {
                cast.apply(&mut buffers.base);
                cast.apply(&mut buffers.tuned);
            }
            return Ok(self.of_matrices(buffers, (rows, cols), threads));
        }
        let Buffers { base: before, tuned, .. } = buffers;
        let decomposes_tuned = self.needs.spectra || self.needs.principal;
        let sums = pair_sums_of(change, before, decomposes_tuned.then_some(tuned));
        let mut facts = match decomposes_tuned {
            true => DeltaFacts::of_buffers_and_change(change, sums, buffers, self.needs, self.options, threads),
            false => DeltaFacts::of_sums(rows, cols, sums),
        };
        if self.needs.delta_spectrum {
            facts.delta_spectrum = spectrum_of(change);
        }
        Ok(facts)
    }

    fn of_matrices(&self, buffers: &mut Buffers, (rows, cols): (usize, usize), threads: usize) -> DeltaFacts {
        let sums = sweep(&buffers.base, &buffers.tuned);
        if !sums.is_finite() {
            let reason = "entries are not finite, or beyond the range of the type they were rounded to";
            return DeltaFacts::unknown(rows, cols, &Score::missing(Status::Undefined, reason));
        }
        DeltaFacts::of_buffers(rows, cols, sums, buffers, self.needs, self.options, threads)
    }

    fn shape(&self, index: usize) -> (usize, usize) {
        let cell = &self.pairs.grid().cells[index];
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        (size(cell.out_features), size(cell.in_features))
    }

    /// What the cell takes.
    fn load(&self, index: usize) -> Load {
        /// Buffers of pieces, of products, and what a cell takes whatever its size.
        const FIXED_BYTES: u64 = 4 << 20;
        let (rows, cols) = self.shape(index);
        let stored_bytes = self.pairs.bytes(index);
        let numel = (rows as u64).saturating_mul(cols as u64);
        let mut working_bytes = FIXED_BYTES.saturating_add(numel.saturating_mul(4 * self.pairs.matrices()));
        if self.needs.matrices() {
            let matrices = numel.saturating_mul(8).saturating_add(stored_bytes);
            working_bytes = working_bytes.saturating_add(matrices).saturating_add(Workspace::bytes(rows, cols));
        }
        if self.needs.principal {
            // Singular vectors of both sides and states, and as many for the iteration.
            let vectors = (rows as u64 + cols as u64).saturating_mul(8 * 6 * self.options.subspace_rank as u64);
            working_bytes = working_bytes.saturating_add(vectors);
        }
        Load { short: rows.min(cols) as u64, long: rows.max(cols) as u64, stored_bytes, working_bytes }
    }

    /// The description of a metric, with what chance would give on this grid's shapes.
    fn info(&self, selected: &Selected) -> MetricInfo {
        let mut info = selected.info();
        let k = self.options.subspace_rank;
        if info.id == "delta-on-principal" {
            info.caveat = format!("Chance is that of a change without direction: k / sqrt(m n), with k = {k}.").into();
        }
        let side: Option<fn(&tomo_map::Cell) -> u64> = match info.id.as_ref() {
            "subspace-overlap-left" => Some(|cell| cell.out_features),
            "subspace-overlap-right" => Some(|cell| cell.in_features),
            _ => None,
        };
        let dims = side.map(|side| self.pairs.grid().cells.iter().map(side).collect::<Vec<_>>()).unwrap_or_default();
        if let (Some(least), Some(most)) = (dims.iter().min(), dims.iter().max()) {
            let chance = |d: u64| tomo_map::significant(k as f64 / d as f64, 2);
            let range = match least == most {
                true => format!("{} (d = {least})", chance(*least)),
                false => format!("{} (d = {most}) to {} (d = {least})", chance(*most), chance(*least)),
            };
            info.caveat = format!("Chance level k/d: with k = {k} it is {range}.").into();
        }
        info
    }
}
