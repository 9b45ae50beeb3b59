//! Which cells run side by side: as many as memory allows, the longest first, so that no worker is left with a long one at
//! the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tomo_model::Model;

use crate::runner::{DEFAULT_MEMORY_BYTES, locked, pool};
use crate::{Form, Needs, Request, ScanError, Workspace};

/// Cells that are scanned alike.
pub(crate) struct Phase {
    /// Indices into the model's cells, the most work first.
    pub(crate) cells: Vec<usize>,
    /// Cells in flight.
    pub(crate) lanes: usize,
    /// Threads that one cell may use.
    pub(crate) threads_inside: usize,
}

/// The order of a scan.
pub(crate) struct Schedule {
    /// Worker threads.
    pub(crate) threads: usize,
    /// Largest cells first.
    pub(crate) phases: Vec<Phase>,
    /// What one cell takes of everything, parallel to the model's cells.
    pub(crate) loads: Vec<Load>,
    /// What the request's metrics need of a cell.
    pub(crate) demand: Demand,
}

/// What the metrics of a request need, together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand {
    pub(crate) needs: Needs,
    /// Metrics that sweep the entries themselves.
    pub(crate) sweeps: usize,
    /// Whether there are metrics of the user's, which may copy a cell.
    pub(crate) own: bool,
}

impl Demand {
    pub(crate) fn of(request: &Request) -> Self {
        let mut demand = Self { own: !request.own.is_empty(), ..Self::default() };
        for selected in &request.metrics {
            let needs = selected.metric.kind.needs();
            demand.needs.moments |= needs.moments;
            demand.needs.spectrum |= needs.spectrum;
            demand.needs.robust_sd |= needs.robust_sd;
            demand.needs.entries |= needs.entries;
            demand.sweeps += usize::from(needs.entries && selected.form == Form::Plain);
        }
        demand
    }
}

/// The size of one cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// min(m, n).
    pub(crate) short: u64,
    /// max(m, n).
    pub(crate) long: u64,
    /// In the checkpoint.
    pub(crate) stored_bytes: u64,
    /// In memory while the cell is scanned.
    pub(crate) working_bytes: u64,
}

impl Load {
    pub(crate) fn numel(self) -> u64 {
        self.short.saturating_mul(self.long)
    }
}

impl Schedule {
    pub(crate) fn new(model: &Model, request: &Request) -> Self {
        let threads = threads(request);
        let budget = request.memory_bytes.unwrap_or(DEFAULT_MEMORY_BYTES);
        let demand = Demand::of(request);
        let loads: Vec<Load> = (0..model.cells().len()).map(|index| load(model, index, demand)).collect();
        let wanted: Vec<usize> = (0..loads.len()).filter(|index| request.wants(*index)).collect();
        let phases = phases(&loads, wanted, budget, threads);
        Self { threads, phases, loads, demand }
    }

    /// Cells that the scan looks at.
    pub(crate) fn cells(&self) -> usize {
        self.phases.iter().map(|phase| phase.cells.len()).sum()
    }

    /// Bytes of checkpoint that the scan reads.
    pub(crate) fn bytes(&self) -> u64 {
        self.wanted().map(|load| load.stored_bytes).sum()
    }

    /// What the cells take that the scan looks at.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Load> {
        self.phases.iter().flat_map(|phase| &phase.cells).map(|cell| &self.loads[*cell])
    }

    /// The most that cells in flight take together.
    pub(crate) fn peak_working_bytes(&self) -> u64 {
        let of_phase = |phase: &Phase| {
            let mut largest: Vec<u64> = phase.cells.iter().map(|i| self.loads[*i].working_bytes).collect();
            largest.sort_unstable_by(|a, b| b.cmp(a));
            largest.iter().take(phase.lanes).sum()
        };
        self.phases.iter().map(of_phase).max().unwrap_or(0)
    }
}

/// Worker threads of a request.
pub(crate) fn threads(request: &Request) -> usize {
    request.threads.or_else(|| available_parallelism().ok().map(usize::from)).unwrap_or(1).max(1)
}

/// Those of the `cells` that are scanned alike, the largest first.
pub(crate) fn phases(loads: &[Load], cells: Vec<usize>, budget: u64, threads: usize) -> Vec<Phase> {
    let lanes = |load: &Load| lanes(load.working_bytes, budget, threads);
    let mut order = cells;
    // The longer side decides between equal areas: the short one enters with its cube.
    let work = |i: &usize| u128::from(loads[*i].numel()) * u128::from(loads[*i].short);
    order.sort_by_key(|i| (lanes(&loads[*i]), std::cmp::Reverse(work(i)), *i));
    let phase = |cells: &[usize]| {
        let lanes = lanes(&loads[cells[0]]);
        Phase { cells: cells.to_vec(), lanes, threads_inside: threads / lanes }
    };
    order.chunk_by(|a, b| lanes(&loads[*a]) == lanes(&loads[*b])).map(phase).collect()
}

/// What a worker does next.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// The cell.
    pub(crate) index: usize,
    /// The cell that the next free worker will take.
    pub(crate) following: Option<usize>,
    /// Threads that may be used.
    pub(crate) threads: usize,
}

/// Does `work` on every cell of the phases, side by side on their lanes, until all are done, one fails or `is_over` says so.
/// What a worker keeps between cells lives as long as a phase; `work` gets it and its turn.
pub(crate) fn run_phases<W: Default>(
    phases: &[Phase],
    threads: usize,
    is_over: &(dyn Fn() -> bool + Sync),
    work: &(dyn Fn(&mut W, Turn) -> Result<(), ScanError> + Sync),
) -> Result<(), ScanError> {
    let pool = pool(threads)?;
    let failure = Mutex::new(None);
    let lane = |phase: &Phase, next: &AtomicUsize| {
        let mut worker = W::default();
        while let Some(&index) = phase.cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            if is_over() || locked(&failure).is_some() {
                return;
            }
            let following = phase.cells.get(next.load(Ordering::Relaxed)).copied();
            if let Err(error) = work(&mut worker, Turn { index, following, threads: phase.threads_inside }) {
                locked(&failure).get_or_insert(error);
            }
        }
    };
    for phase in phases {
        let next = AtomicUsize::new(0);
        pool.install(|| rayon::scope(|scope| (0..phase.lanes).for_each(|_| scope.spawn(|_| lane(phase, &next)))));
    }
    locked(&failure).take().map_or(Ok(()), Err)
}

/// Cells of this size that fit in `budget` together, at least one.
fn lanes(working_bytes: u64, budget: u64, threads: usize) -> usize {
    usize::try_from(budget / working_bytes.max(1)).unwrap_or(usize::MAX).clamp(1, threads)
}

fn load(model: &Model, index: usize, demand: Demand) -> Load {
    /// Buffers inside the matrix product, stacks, and what a cell takes whatever its size.
    const FIXED_BYTES: u64 = 4 << 20;
    let cell = &model.cells()[index];
    let (rows, cols) = (cell.out_features, cell.in_features);
    let stored_bytes = model.cell_bytes(index);
    let numel = rows.saturating_mul(cols);
    let mut working_bytes = numel.saturating_mul(4).saturating_add(stored_bytes).saturating_add(FIXED_BYTES);
    if let (true, Ok(rows), Ok(cols)) = (demand.needs.spectrum, usize::try_from(rows), usize::try_from(cols)) {
        working_bytes = working_bytes.saturating_add(Workspace::bytes(rows, cols));
    }
    if demand.own {
        working_bytes = working_bytes.saturating_add(numel.saturating_mul(4));
    }
    if demand.needs.robust_sd {
        // What lies near the median; a tenth of all entries as a rule.
        working_bytes = working_bytes.saturating_add(numel / 2);
    }
    Load { short: rows.min(cols), long: rows.max(cols), stored_bytes, working_bytes }
}
