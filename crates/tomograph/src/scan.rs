//! From a path to a map: opens the checkpoint, recognises the family, runs the metrics and records where it all came from.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, ensure};
use tomo_map::{CellId, Column, Inventory, Map, Provenance, Score, Status};
use tomo_metrics::{
    Along, Causal, CausalPlan, Imatrix, Keep, Measured, Options, Progress, Request as MetricsRequest, Selected, Share,
};
use tomo_model::engine::{MemoryPlan, PassProgress};
use tomo_model::{CellOverride, Model, OpenOptions};

use crate::adapter::AdapterScan;
use crate::comparison::Comparison;
use crate::draws_file::KeptDraws;
use crate::forward::{Forward, own_read_taps};
use crate::parts::{ELSEWHERE, Making, OfText, Part, Shares, States};
use crate::provenance::{of_text, provenance_of};
use crate::reverse::{Backward, PlannedPass, ReversePasses, default_draws};
use crate::run::Run;

pub use crate::request::Request;

/// Who watches a scan: its part on the weights, and its part on text.
pub trait Watcher: Progress + PassProgress {}

impl<T: Progress + PassProgress> Watcher for T {}

/// Reports nothing and is never cancelled.
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _cells: usize, _bytes: u64) {}
    fn cell_done(&self, _cell: CellId, _bytes: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl PassProgress for Silent {
    fn start(&self, _steps: usize) {}
    fn step(&self, _layer: u32) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Opens the checkpoint at `path` and recognises its family.
///
/// # Errors
/// A file that cannot be read or is damaged, an unknown family, a checkpoint that contradicts its configuration, an adapter.
pub fn open(path: &Path, cells: &[CellOverride]) -> anyhow::Result<Model> {
    open_as(path, cells, false)
}

/// [`open`]; with `partial`, cells may be missing.
fn open_as(path: &Path, cells: &[CellOverride], partial: bool) -> anyhow::Result<Model> {
    ensure!(
        tomo_checkpoint::open_adapter(path)?.is_none(),
        "this is an adapter, not a model\n  path: {}\n  hint: tomograph map ADAPTER --against BASE shows what it changes; to run it, \
         merge it with peft first",
        path.display()
    );
    let source = tomo_checkpoint::open(path)?;
    Ok(Model::open(source, &OpenOptions { cell_overrides: cells.to_vec(), partial })?)
}

/// Opens the model of `request`.
///
/// # Errors
/// As [`open`]. Missing cells are no error where the request is [partial](Request::partial).
pub fn open_requested(request: &Request) -> anyhow::Result<Model> {
    open_as(&request.path, &request.cells, request.partial)
}

/// Opens the base of `request`, which is at `path`.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_base(path: &Path, request: &Request) -> anyhow::Result<Model> {
    open_as(path, &request.cells, request.partial).context("cannot use the checkpoint of --against")
}

/// Opens and scans: a model, or an adapter.
///
/// # Errors
/// As [`open`] and [`Scan::new`]; and when a tensor cannot be read during the scan. A cancelled scan is not an error: what
/// was not reached is marked as not measured.
pub fn scan(request: &Request, progress: &dyn Watcher) -> anyhow::Result<Map> {
    if let Some(files) = tomo_checkpoint::open_adapter(&request.path)? {
        return Ok(AdapterScan::new(&files, request)?.run(progress)?.map);
    }
    let model = Arc::new(open_requested(request)?);
    Ok(Scan::new(model, request, &mut std::io::empty())?.run(progress)?.map)
}

/// A scan with everything decided: the text is read, the memory is known, nothing has run.
pub struct Scan<'a> {
    model: Arc<Model>,
    request: &'a Request,
    /// The model ready to run, where a metric reads a text.
    run: Option<Run>,
    /// The forward pass, where a metric watches one.
    forward: Option<Forward>,
    /// What takes its place.
    imatrix: Option<Imatrix>,
    reverse: Option<ReversePasses>,
    /// Runs of changed models.
    causal: Option<Causal>,
    /// What the model is compared with, where a metric compares.
    comparison: Option<Comparison>,
    /// Of a part of a scan, what it works on.
    shares: Option<Shares>,
}

/// What a scan will take, as far as it is known before.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Foreseen {
    /// Bytes of memory at the peak.
    pub peak_bytes: u64,
    /// Sequences of the text; 0 without.
    pub sequences: usize,
    /// Into how many parts it can be cut at most.
    pub most_parts: usize,
}

/// What a scan leaves.
pub struct Scanned {
    /// The map.
    pub map: Map,
    /// What was drawn for `predicted-kl-*`, for sets and pairs of cells.
    pub draws: Vec<KeptDraws>,
    /// What every change did to every sequence, of causal metrics.
    pub measured: Vec<Measured>,
    /// Whether it was cancelled before it was done.
    pub ended_early: bool,
    /// Folders of passes that are over: to be removed when the results are safe.
    pub spent: Vec<PathBuf>,
    /// Where a part of the scan was asked for: what it knows, unless it was cancelled before it was done.
    pub part: Option<Part>,
}

impl<'a> Scan<'a> {
    /// Prepares the scan of `request` on a model that is open already. `stdin` is read when the text is `-`.
    ///
    /// # Errors
    /// An unknown metric; for metrics that read a text, whatever [`Run::new`] refuses, an imatrix that cannot be used, more
    /// memory than a pass may take.
    pub fn new(model: Arc<Model>, request: &'a Request, stdin: &mut dyn Read) -> anyhow::Result<Self> {
        let selected = request.selected()?;
        let reads_activations = selected.iter().any(Selected::reads_activations);
        let reads_gradients = selected.iter().any(Selected::reads_gradients);
        let imatrix = request.imatrix.as_deref();
        ensure!(
            imatrix.is_none() || reads_activations,
            "none of the metrics reads an imatrix: try input-energy or err-int4@x"
        );
        let is_causal = selected.iter().any(Selected::is_causal);
        let runs = reads_gradients || is_causal || (reads_activations && imatrix.is_none()) || own_read_taps(request);
        let run = if runs { Some(Run::new(&model, &request.text, &request.run, stdin)?) } else { None };
        ensure!(
            request.cut.is_none() || request.own.is_empty(),
            "a part of a scan cannot have metrics of your own: who puts the parts together does not know them"
        );
        let sequences = run.as_ref().map_or(0, |run| run.windows.sequences.len());
        let shares = match &request.cut {
            Some(cut) => Some(Shares::new(cut, model.grid(), &selected, imatrix.is_some(), sequences)?),
            None => None,
        };
        let share_of = |kind: fn(&Shares) -> Option<&Share>| shares.as_ref().and_then(kind);
        let forward = match &run {
            Some(run) => Forward::new(&model, &selected, request, run, share_of(|s| s.activations.as_ref()))?,
            None => None,
        };
        let reverse = match &run {
            Some(run) => {
                let draws = request.draws.unwrap_or_else(|| default_draws(run.windows.sequences.len()));
                let options = Options { draws, ..request.options.clone() };
                let share = share_of(|s| s.gradients.as_ref());
                ReversePasses::new(&model, &selected, &options, &run.objective(), run, share)?
            }
            None => None,
        };
        let comparison = Comparison::new(&model, request, &selected)?;
        let base = comparison.as_ref().map(Comparison::base);
        let causal = match &run {
            Some(run) if is_causal => {
                let causal = causal(&model, request, run, base.map(Arc::clone), &selected)?;
                match share_of(|s| s.causal.as_ref()) {
                    Some(share) => causal.map(|causal| causal.of(share)).transpose()?,
                    None => causal,
                }
            }
            _ => None,
        };
        let imatrix = imatrix.map(Imatrix::read).transpose()?;
        Ok(Self { model, request, run, forward, imatrix, reverse, causal, comparison, shares })
    }

    /// What a reader has to know about the comparison; whole sentences without the full stop.
    pub fn notes(&self) -> &[String] {
        self.comparison.as_ref().map_or(&[], Comparison::notes)
    }

    /// What it will take.
    ///
    /// # Errors
    /// An unknown metric.
    pub fn foresee(&self) -> anyhow::Result<Foreseen> {
        let mut weights = self.request.metrics_request()?;
        if let Some(Share::Cells(cells)) = self.shares.as_ref().and_then(|shares| shares.weights.as_ref()) {
            weights.cells = Some(cells.clone());
        }
        let of_weights = tomo_metrics::cost(&self.model, &weights).peak_bytes;
        let forward = self.forward().map(|plan| plan.bytes);
        let reverse = self.reverse().into_iter().map(|pass| pass.plan.bytes);
        let causal = self.causal().map(|plan| plan.compare.bytes);
        let peak_bytes = reverse.chain(forward).chain(causal).fold(of_weights, u64::max);
        let sequences = self.run.as_ref().map_or(0, |run| run.windows.sequences.len());
        let mut most_parts = self.model.cells().len();
        if self.run.is_some() && self.request.selected()?.iter().any(|s| s.along() == Along::Sequences) {
            most_parts = most_parts.min(sequences);
        }
        Ok(Foreseen { peak_bytes, sequences, most_parts })
    }

    /// Of a part of a scan, what it works on: a line for each kind of metric.
    pub fn part_in_words(&self) -> Vec<String> {
        let (Some(cut), Some(shares)) = (&self.request.cut, &self.shares) else { return Vec::new() };
        let cells = &self.model.grid().cells;
        let words = |share: &Share| match share {
            Share::Sequences(own) => match (own.first(), own.last(), &self.run) {
                (Some(first), Some(last), Some(run)) => {
                    format!("sequences {first} to {last} of {}", run.windows.sequences.len())
                }
                _ => "no sequences".to_owned(),
            },
            Share::Cells(own) => match (own.first(), own.last()) {
                (Some(first), Some(last)) => {
                    let (first, last) = (cells[*first].id, cells[*last].id);
                    format!("{} of {} cells, {first} to {last}", own.len(), cells.len())
                }
                _ => "no cells".to_owned(),
            },
        };
        shares.each().map(|(what, share)| format!("part {cut}, {what}: {}", words(share))).collect()
    }

    /// The model ready to run, where a metric reads a text.
    pub fn text(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// The forward pass that the scan will make, if a metric needs one.
    pub fn forward(&self) -> Option<&MemoryPlan> {
        self.forward.as_ref().map(Forward::plan)
    }

    /// The reverse passes that it will make after that.
    pub fn reverse(&self) -> Vec<&PlannedPass> {
        self.reverse.iter().flat_map(ReversePasses::planned).collect()
    }

    /// The runs of changed models that it will make last.
    pub fn causal(&self) -> Option<&CausalPlan> {
        self.causal.as_ref().map(Causal::plan)
    }

    /// Scans.
    ///
    /// # Errors
    /// When a tensor cannot be read or run. A cancelled scan is not an error.
    pub fn run(self, progress: &dyn Watcher) -> anyhow::Result<Scanned> {
        let Self { model, request, run, forward, imatrix, reverse, causal, comparison, shares } = self;
        let started = SystemTime::now();
        let clock = Instant::now();
        let mut weights = request.metrics_request()?;
        let own = shares.as_ref().and_then(|shares| shares.weights.as_ref());
        if let Some(Share::Cells(cells)) = own {
            weights.cells = Some(cells.clone());
        }
        let mut states = States::default();
        let mut is_done = true;
        let mut columns = if weights.is_empty() { Vec::new() } else { tomo_metrics::scan(&model, &weights, progress)? };
        let mut provenance = Provenance::default();
        let mut beside = Vec::new();
        let base = comparison.as_ref().map(|comparison| Arc::clone(comparison.base()));
        if let Some(comparison) = comparison {
            columns.extend(comparison.scan(&model, request, weights.cells.clone(), progress)?);
            beside.extend(comparison.beside(&model)?);
            provenance.against = Some(comparison.provenance(request)?);
        }
        if let Some(imatrix) = imatrix {
            let whole = MetricsRequest { metrics: request.selected()?, ..weights };
            columns.extend(tomo_metrics::scan_imatrix(&model, &imatrix, &whole, progress)?);
            let path = request.imatrix.as_deref().unwrap_or(Path::new(""));
            provenance.text = Some(format!("imatrix {}", path.display()));
        }
        let (mut of_part, mut options) = (OfText::default(), request.options.clone());
        let mut backward = Backward::default();
        let (mut measured, mut ended_early) = (Vec::new(), false);
        if let Some(run) = run {
            provenance = of_text(&run, provenance);
            of_part = OfText::new(&run);
            if let Some(forward) = forward {
                let passed = forward.run(&run, progress)?;
                is_done &= passed.completed;
                states.activations = passed.state;
                columns.extend(passed.columns);
            }
            if let Some(reverse) = reverse {
                provenance.loss = Some(run.loss());
                provenance.draws = reverse.draws().and_then(|n| u64::try_from(n).ok());
                let key = match &request.resume {
                    Some(_) => resume_key(&model, request, &run, &reverse.options, &request.selected()?)?,
                    None => String::new(),
                };
                let resume = request.resume.as_deref().map(|folder| (folder, key.as_str()));
                options = reverse.options.clone();
                backward = reverse.run(&run, resume, progress)?;
                is_done &= !backward.ended_early;
                (states.gradients, states.path) = std::mem::take(&mut backward.states);
                columns.append(&mut backward.columns);
            }
            if let Some(mut causal) = causal {
                ended_early = !causal.run(&run.engine, &run.windows.sequences, progress)?;
                columns.extend(causal.columns());
                measured = causal.measured();
                is_done &= !ended_early;
                if shares.is_some() {
                    states.causal = Some(causal.state()?);
                }
                if !ended_early {
                    backward.spent.extend(causal_folder(request));
                }
            }
        }
        let mut order: Vec<String> = request.selected()?.iter().map(Selected::id).collect();
        order.extend(request.own.iter().map(|own| own.info.id.to_string()));
        columns.sort_by_key(|c| order.iter().position(|id| *id == c.info.id));
        let provenance = provenance_of(&model, request, started, clock.elapsed().as_secs_f64(), provenance)?;
        let gguf = crate::quantize::header(model.source())?;
        let mut part = None;
        if let Some(shares) = shares {
            let selected = request.selected()?;
            let making =
                Making { request, model: &model, base, selected: &selected, shares, options, text: of_part, gguf };
            columns = making.own(columns, is_done);
            if is_done && !is_partial(&columns) {
                part = Some(making.part(&columns, &beside, states, &provenance)?);
            }
        }
        let inventory = Some(Box::new(Inventory { gguf, ..model.inventory() }));
        let map = Map { provenance, grid: model.grid().clone(), columns, beside, inventory, ..Map::default() };
        let ended_early = ended_early || (request.cut.is_some() && part.is_none());
        Ok(Scanned { map, draws: backward.draws, measured, ended_early, spent: backward.spent, part })
    }
}

/// Where a scan of changed models keeps what it knows.
fn causal_folder(request: &Request) -> Option<PathBuf> {
    Some(request.keep.as_ref()?.join("causal"))
}

/// Plans the runs of changed models; `base` is where cells are taken from.
fn causal(
    model: &Arc<Model>,
    request: &Request,
    run: &Run,
    base: Option<Arc<Model>>,
    selected: &[Selected],
) -> anyhow::Result<Option<Causal>> {
    let selected: Vec<Selected> = selected.iter().filter(|s| s.is_causal()).copied().collect();
    let keep = match causal_folder(request) {
        Some(folder) => {
            let mut key = resume_key(model, request, run, &request.options, &selected)?;
            if let Some(base) = &base {
                key.push_str(&base.source().digest().context("cannot digest the other checkpoint")?);
            }
            Some(Keep { folder, key })
        }
        None => None,
    };
    Ok(Causal::new(&run.engine, model, &selected, &request.options, &run.lengths(), base, keep)?)
}

/// All that decides the results of passes for some metrics.
fn resume_key(
    model: &Model,
    request: &Request,
    run: &Run,
    options: &Options,
    metrics: &[Selected],
) -> anyhow::Result<String> {
    let digest = model.source().digest().context("cannot digest the checkpoint")?;
    let config = tomo_checkpoint::config_digest(model.source().config());
    let ignored = &request.run.ignored_config_keys;
    let (text, loss) = (run.windows.digest(), &run.answers);
    let (version, threads) = (env!("CARGO_PKG_VERSION"), run.engine.threads());
    let cut = request.cut.as_ref().map(ToString::to_string);
    Ok(format!("{version} {digest} {config:?} {ignored:?} {metrics:?} {options:?} {text} {loss:?} {threads} {cut:?}"))
}

/// What `request` would cost on `model`.
///
/// # Errors
/// An unknown metric.
pub fn cost(model: &Model, request: &Request) -> anyhow::Result<tomo_metrics::Cost> {
    Ok(tomo_metrics::cost(model, &request.metrics_request()?))
}

/// Whether any cell of `columns` was left out because the scan was cancelled.
pub fn is_partial(columns: &[Column]) -> bool {
    let unmeasured = |s: &Score| s.status() == Status::NotMeasured && s.reason() != Some(ELSEWHERE);
    columns.iter().any(|c| c.scores.iter().any(unmeasured))
}
