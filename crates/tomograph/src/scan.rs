//! From a path to a map: opens the checkpoint, recognises the family, runs the metrics and records where it all came from.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, ensure};
use tomo_map::{CellId, Column, Map, Provenance};
use tomo_metrics::{Activations, Imatrix, Options, Progress, Request as MetricsRequest, Selected};
use tomo_model::engine::{MemoryPlan, Observer, PassProgress, Until};
use tomo_model::{CellOverride, Model, OpenOptions};

use crate::run::{Run, RunOptions, TextRequest};

/// What to scan and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Folder or file of the checkpoint.
    pub path: PathBuf,
    /// The model as the user named it (a hub name, say); the path where empty.
    pub name: String,
    /// Metrics, in the registry's order.
    pub metrics: Vec<Selected>,
    /// Cells the family does not know, named by the user.
    pub cells: Vec<CellOverride>,
    /// Group size, seed.
    pub options: Options,
    /// Worker threads; the machine's where `None`.
    pub threads: Option<usize>,
    /// Budget for the working memory of the scan, in bytes; the runner's default where `None`.
    pub memory_bytes: Option<u64>,
    /// Where baselines of random matrices are kept between runs; nowhere where `None`.
    pub cache: Option<PathBuf>,
    /// The text for metrics that read activations.
    pub text: TextRequest,
    /// By what means the model is run, where a metric needs that.
    pub run: RunOptions,
    /// An imatrix to take the mean squares of the inputs from, instead of running the model.
    pub imatrix: Option<PathBuf>,
    /// Command line for the provenance.
    pub command: String,
}

impl Request {
    /// A scan of `path` with every metric and default options.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: String::new(),
            metrics: Vec::new(),
            cells: Vec::new(),
            options: Options::default(),
            threads: None,
            memory_bytes: None,
            cache: None,
            text: TextRequest::default(),
            run: RunOptions::default(),
            imatrix: None,
            command: String::new(),
        }
    }

    /// The same scan with the metrics that `spec` names: ids, families, `all`, `…@null`, separated by commas.
    ///
    /// # Errors
    /// An unknown name; the message suggests near ones.
    pub fn metrics(mut self, spec: &str) -> anyhow::Result<Self> {
        self.metrics = tomo_metrics::select(spec)?;
        Ok(self)
    }

    /// The metrics: those asked for, or all that the weights alone give.
    fn selected(&self) -> anyhow::Result<Vec<Selected>> {
        Ok(if self.metrics.is_empty() { tomo_metrics::select("all")? } else { self.metrics.clone() })
    }

    /// The part of the scan that needs no text.
    fn metrics_request(&self) -> anyhow::Result<MetricsRequest> {
        let metrics = self.selected()?.into_iter().filter(|m| !m.reads_activations()).collect();
        Ok(MetricsRequest {
            metrics,
            options: self.options.clone(),
            threads: self.threads,
            cache_dir: self.cache.clone(),
            memory_bytes: self.memory_bytes,
        })
    }
}

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
/// A file that cannot be read or is damaged, an unknown family, a checkpoint that contradicts its configuration.
pub fn open(path: &Path, cells: &[CellOverride]) -> anyhow::Result<Model> {
    let source = tomo_checkpoint::open(path)?;
    Ok(Model::open(source, &OpenOptions { cell_overrides: cells.to_vec() })?)
}

/// Opens and scans.
///
/// # Errors
/// As [`open`] and [`Scan::new`]; and when a tensor cannot be read during the scan. A cancelled scan is not an error: what
/// was not reached is marked as not measured.
pub fn scan(request: &Request, progress: &dyn Watcher) -> anyhow::Result<Map> {
    let model = Arc::new(open(&request.path, &request.cells)?);
    Scan::new(model, request, &mut std::io::empty())?.run(progress)
}

/// A scan with everything decided: the text is read, the memory is known, nothing has run.
pub struct Scan<'a> {
    model: Arc<Model>,
    request: &'a Request,
    inputs: Inputs,
}

/// Where activation metrics get the inputs of cells from.
enum Inputs {
    /// No metric asks.
    None,
    /// A pass over a text.
    Pass(Box<Pass>),
    /// An imatrix that somebody made.
    Imatrix(Imatrix),
}

/// A pass that feeds the activation metrics.
struct Pass {
    run: Run,
    activations: Activations,
    plan: MemoryPlan,
}

impl<'a> Scan<'a> {
    /// Prepares the scan of `request` on a model that is open already. `stdin` is read when the text is `-`.
    ///
    /// # Errors
    /// An unknown metric; for metrics that read activations, whatever [`Run::new`] refuses, an imatrix that cannot be
    /// used, more memory than the pass may take.
    pub fn new(model: Arc<Model>, request: &'a Request, stdin: &mut dyn Read) -> anyhow::Result<Self> {
        let selected: Vec<Selected> = request.selected()?.into_iter().filter(Selected::reads_activations).collect();
        let inputs = match &request.imatrix {
            _ if selected.is_empty() => {
                ensure!(
                    request.imatrix.is_none(),
                    "none of the metrics reads an imatrix: try input-energy or err-int4@x"
                );
                Inputs::None
            }
            Some(path) => Inputs::Imatrix(Imatrix::read(path)?),
            None => {
                let run = Run::new(&model, &request.text, &request.run, stdin)?;
                let activations = Activations::new(&model, &selected, &request.options, &run.lengths());
                let bytes = activations.memory_bytes(run.engine.threads());
                let plan = run.plan(&[&activations], bytes, Until::LastBlock)?;
                Inputs::Pass(Box::new(Pass { run, activations, plan }))
            }
        };
        Ok(Self { model, request, inputs })
    }

    /// The pass that the scan will make, if its metrics need one, and what it takes.
    pub fn pass(&self) -> Option<(&Run, &MemoryPlan)> {
        match &self.inputs {
            Inputs::Pass(pass) => Some((&pass.run, &pass.plan)),
            Inputs::None | Inputs::Imatrix(_) => None,
        }
    }

    /// Scans.
    ///
    /// # Errors
    /// When a tensor cannot be read or run. A cancelled scan is not an error.
    pub fn run(self, progress: &dyn Watcher) -> anyhow::Result<Map> {
        let Self { model, request, inputs } = self;
        let started = SystemTime::now();
        let clock = Instant::now();
        let weights = request.metrics_request()?;
        let mut columns =
            if weights.metrics.is_empty() { Vec::new() } else { tomo_metrics::scan(&model, &weights, progress)? };
        let mut provenance = Provenance::default();
        match inputs {
            Inputs::None => {}
            Inputs::Pass(pass) => {
                let Pass { run, activations, plan } = *pass;
                run.forward(&[&activations as &dyn Observer], &plan, Until::LastBlock, progress)?;
                columns.extend(activations.finish());
                provenance.text = Some(run.windows.description.clone());
                provenance.text_digest = Some(run.windows.digest());
                provenance.tokens = Some(run.windows.tokens());
                provenance.sequences = Some(run.windows.sequences.len() as u64);
            }
            Inputs::Imatrix(imatrix) => {
                let whole = MetricsRequest { metrics: request.selected()?, ..weights };
                columns.extend(tomo_metrics::scan_imatrix(&model, &imatrix, &whole, progress)?);
                let path = request.imatrix.as_deref().unwrap_or(Path::new(""));
                provenance.text = Some(format!("imatrix {}", path.display()));
            }
        }
        let order: Vec<String> = request.selected()?.iter().map(Selected::id).collect();
        columns.sort_by_key(|c| order.iter().position(|id| *id == c.info.id));
        let provenance = provenance_of(&model, request, started, clock.elapsed().as_secs_f64(), provenance)?;
        Ok(Map { provenance, grid: model.grid().clone(), columns })
    }
}

/// What `request` would cost on `model`.
///
/// # Errors
/// An unknown metric.
pub fn cost(model: &Model, request: &Request) -> anyhow::Result<tomo_metrics::Cost> {
    Ok(tomo_metrics::cost(model, &request.metrics_request()?))
}

fn provenance_of(
    model: &Model,
    request: &Request,
    started: SystemTime,
    seconds: f64,
    of_text: Provenance,
) -> anyhow::Result<Provenance> {
    let source = model.source();
    let name = if request.name.is_empty() { request.path.display().to_string() } else { request.name.clone() };
    Ok(Provenance {
        model: name,
        model_digest: source.digest().context("cannot digest the checkpoint")?,
        config_digest: tomo_checkpoint::config_digest(source.config()),
        family: model.family().to_owned(),
        format: source.format().to_string(),
        dims: model.dims().letters().into_iter().map(|(letter, n)| (letter.to_owned(), n)).collect(),
        seed: request.options.seed,
        group: u64::try_from(request.options.group).ok(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: request.command.clone(),
        started: humantime::format_rfc3339_seconds(started).to_string(),
        seconds,
        peak_rss_bytes: peak_rss_bytes(),
        ..of_text
    })
}

/// Whether any cell of `columns` was left out because the scan was cancelled.
pub fn is_partial(columns: &[Column]) -> bool {
    let unmeasured = |s: &tomo_map::Score| s.status() == tomo_map::Status::NotMeasured;
    columns.iter().any(|c| c.scores.iter().any(unmeasured))
}

/// Peak resident memory of this process, where Linux tells it.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
