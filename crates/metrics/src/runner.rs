//! One reading of the checkpoint for all metrics: every cell is decoded once, its facts are computed once, every selected
//! metric scores them.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tomo_map::{CellId, Column, Score, Status};
use tomo_model::{Model, ModelError};

use crate::null_table::NullTable;
use crate::schedule::{Schedule, Turn, run_phases};
use crate::{Facts, Form, Matrix, Options, OwnError, OwnMetric, Selected, Workspace};

/// What to compute and with what means.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The metrics, as [`select`](crate::select) gives them.
    pub metrics: Vec<Selected>,
    /// Metrics of the user's, after those; here, the ones that read weights.
    pub own: Vec<Arc<OwnMetric>>,
    /// Settings that reach every metric.
    pub options: Options,
    /// Worker threads; as many as the machine has cores where `None`.
    pub threads: Option<usize>,
    /// Where baselines of random matrices are kept between runs; nowhere where `None`.
    pub cache_dir: Option<PathBuf>,
    /// Bytes that cells in flight may take together; [`DEFAULT_MEMORY_BYTES`] where `None`. A cell that takes more is
    /// scanned alone.
    pub memory_bytes: Option<u64>,
    /// Cells to scan, by index in the grid, ascending; all of them where `None`. The others are marked [`Status::NotMeasured`].
    pub cells: Option<Vec<usize>>,
}

impl Request {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.own.is_empty()
    }

    /// Whether cell `index` is to be scanned.
    pub(crate) fn wants(&self, index: usize) -> bool {
        self.cells.as_ref().is_none_or(|cells| cells.binary_search(&index).is_ok())
    }

    /// The part of the request that needs no text.
    pub(crate) fn of_weights(&self) -> Self {
        let metrics = self.metrics.iter().filter(|s| !s.reads_text() && !s.reads_base()).copied().collect();
        let own = self.own.iter().filter(|m| !m.reads_taps()).map(Arc::clone).collect();
        Self { metrics, own, ..self.clone() }
    }
}

/// Budget of the cells in flight unless the request says otherwise.
pub const DEFAULT_MEMORY_BYTES: u64 = 320 << 20;

/// Who watches a scan, and may end it.
pub trait Progress: Sync {
    /// The scan begins: `cells` cells, `bytes` bytes of checkpoint.
    fn start(&self, cells: usize, bytes: u64);

    /// One cell has its scores; it took `bytes` bytes of checkpoint. Called from worker threads, in no fixed order.
    fn cell_done(&self, cell: CellId, bytes: u64);

    /// Whether to stop; asked before every cell.
    fn is_cancelled(&self) -> bool;
}

/// Why a scan gave no columns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A cell could not be read.
    #[error("cannot read {cell}")]
    Cell {
        /// Which cell.
        cell: CellId,
        /// Why.
        source: ModelError,
    },
    /// An imatrix does not go with the model.
    #[error(transparent)]
    Imatrix(#[from] tomo_checkpoint::Error),
    /// A metric of the user's failed.
    #[error("the metric {metric:?} failed on {cell}")]
    Own {
        /// Its id.
        metric: String,
        /// On which cell.
        cell: CellId,
        /// Why.
        source: OwnError,
    },
    /// The system refused worker threads.
    #[error("cannot start {threads} worker threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
}

/// Scores every cell of `model` with every selected metric that reads weights only, the user's last: one column per metric,
/// parallel to the grid's cells. Metrics that compare are left to [`scan_delta`](crate::scan_delta), metrics that read a text ([`Selected::reads_text`]) are left to [`Activations`](crate::Activations) and
/// [`Gradients`](crate::Gradients).
///
/// A cell with weights that are not finite has no scores, and says where; the scan goes on. A cancelled scan returns what
/// it has, the rest marked [`Status::NotMeasured`]. The same request gives the same bits.
///
/// # Errors
/// When a cell cannot be decoded or no threads can be started.
pub fn scan(model: &Model, request: &Request, progress: &dyn Progress) -> Result<Vec<Column>, ScanError> {
    let request = &request.of_weights();
    if request.is_empty() {
        return Ok(Vec::new());
    }
    let schedule = Schedule::new(model, request);
    progress.start(schedule.cells(), schedule.bytes());
    let nulls = pool(schedule.threads)?.install(|| NullTable::new(model, request));
    let scan = Scan { model, request, progress, nulls, rows: Mutex::new(vec![None; model.cells().len()]) };
    run_phases(&schedule.phases, schedule.threads, &|| progress.is_cancelled(), &|worker, turn| {
        scan.run(worker, turn)
    })?;
    Ok(scan.columns())
}

/// Worker threads of one scan.
pub(crate) fn pool(threads: usize) -> Result<rayon::ThreadPool, ScanError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| ScanError::Threads { threads, reason: e.to_string() })
}

/// The guard of a mutex; a panic in another worker does not make the numbers behind it wrong.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What the workers of one scan share.
struct Scan<'a> {
    model: &'a Model,
    request: &'a Request,
    progress: &'a dyn Progress,
    nulls: NullTable,
    /// Per cell, one score per selected metric; `None` until measured.
    rows: Mutex<Vec<Option<Vec<Score>>>>,
}

/// A worker's buffers, used again for every cell.
#[derive(Default)]
struct Worker {
    weights: Vec<f32>,
    workspace: RefCell<Workspace>,
}

impl Scan<'_> {
    /// Scores one cell.
    fn run(&self, worker: &mut Worker, turn: Turn) -> Result<(), ScanError> {
        let index = turn.index;
        let cell = self.model.cells()[index].id;
        let scores = self.score_cell(turn, worker)?;
        locked(&self.rows)[index] = Some(scores);
        self.progress.cell_done(cell, self.model.cell_bytes(index));
        Ok(())
    }

    fn score_cell(&self, turn: Turn, worker: &mut Worker) -> Result<Vec<Score>, ScanError> {
        let Turn { index, following, threads } = turn;
        let Worker { weights, workspace } = worker;
        let cell = &self.model.cells()[index];
        self.model.load(index, weights).map_err(|source| ScanError::Cell { cell: cell.id, source })?;
        self.model.release(index);
        // While this cell is scored, the next one is on its way.
        following.into_iter().for_each(|next| self.model.prefetch(next));
        let cols = usize::try_from(cell.in_features).unwrap_or(usize::MAX);
        let matrix = Matrix { rows: weights.len() / cols.max(1), cols, values: weights };
        if let Some(reason) = what_is_not_finite(matrix, &cell.tensor) {
            let columns = self.request.metrics.len() + self.request.own.len();
            return Ok(vec![Score::missing(Status::Undefined, reason); columns]);
        }
        let facts = Facts::new(matrix).with_workspace(workspace, threads);
        let mut scores = self.scores(&facts);
        for own in &self.request.own {
            scores.push(own.of_weights(&self.model.grid().cells[index], matrix).unwrap_or_else(|| Ok(needs_more()))?);
        }
        Ok(scores)
    }

    /// One score per selected metric; a plain form and its `@null` form, neighbours in the request, are scored once.
    fn scores(&self, facts: &Facts<'_>) -> Vec<Score> {
        let mut plain: Option<(&str, Score)> = None;
        let one = |selected: &Selected| {
            let id = selected.metric.info.id.as_ref();
            let score = match &plain {
                Some((known, score)) if *known == id => score.clone(),
                _ => selected.metric.kind.score(facts, &self.request.options).unwrap_or_else(needs_more),
            };
            plain = Some((id, score.clone()));
            if selected.form == Form::Null { self.nulls.relative(selected, facts, score) } else { score }
        };
        self.request.metrics.iter().map(one).collect()
    }

    fn columns(self) -> Vec<Column> {
        let registered = self.request.metrics.iter().map(|selected| self.nulls.info(selected));
        columns(self.rows, registered.chain(self.request.own.iter().map(|own| own.info.clone())))
    }
}

/// The table of a scan turned: a column of scores per metric, parallel to the cells.
pub(crate) fn columns(
    rows: Mutex<Vec<Option<Vec<Score>>>>,
    metrics: impl Iterator<Item = tomo_map::MetricInfo>,
) -> Vec<Column> {
    let rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let unmeasured = || Score::missing(Status::NotMeasured, "the scan was cancelled before this cell");
    let column = |(at, info): (usize, tomo_map::MetricInfo)| {
        let scores = rows.iter().map(|row| row.as_ref().map_or_else(unmeasured, |row| row[at].clone())).collect();
        Column::new(info, scores)
    };
    metrics.enumerate().map(column).collect()
}

/// Not met: a scan leaves out what needs more than the weights before it begins.
fn needs_more() -> Score {
    Score::missing(Status::NotMeasured, "the metric needs more than the weights")
}

/// Names the first entry that is NaN or infinite.
pub(crate) fn what_is_not_finite(matrix: Matrix<'_>, tensor: &str) -> Option<String> {
    let at = tomo_model::first_not_finite(matrix.values)?;
    let (row, column, value) = (at / matrix.cols, at % matrix.cols, matrix.values[at]);
    Some(format!("row {row}, column {column} of this cell in tensor {tensor:?} is {value}"))
}
