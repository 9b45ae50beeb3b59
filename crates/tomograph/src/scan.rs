//! From a path to a map: opens the checkpoint, recognises the family, runs the metrics and records where it all came from.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::Context;
use tomo_map::{CellId, Column, Map, Provenance};
use tomo_metrics::{Options, Progress, Request as MetricsRequest, Selected};
use tomo_model::{CellOverride, Model, OpenOptions};

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

    fn metrics_request(&self) -> anyhow::Result<MetricsRequest> {
        let metrics = if self.metrics.is_empty() { tomo_metrics::select("all")? } else { self.metrics.clone() };
        Ok(MetricsRequest {
            metrics,
            options: self.options.clone(),
            threads: self.threads,
            cache_dir: self.cache.clone(),
            memory_bytes: self.memory_bytes,
        })
    }
}

/// Reports nothing and is never cancelled.
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _cells: usize, _bytes: u64) {}
    fn cell_done(&self, _cell: CellId, _bytes: u64) {}
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
/// As [`open`]; and when a tensor cannot be read during the scan. A cancelled scan is not an error: what was not reached
/// is marked as not measured.
pub fn scan(request: &Request, progress: &dyn Progress) -> anyhow::Result<Map> {
    scan_model(&open(&request.path, &request.cells)?, request, progress)
}

/// Scans a model that is open already.
///
/// # Errors
/// As [`scan`].
pub fn scan_model(model: &Model, request: &Request, progress: &dyn Progress) -> anyhow::Result<Map> {
    let started = SystemTime::now();
    let clock = Instant::now();
    let columns = tomo_metrics::scan(model, &request.metrics_request()?, progress)?;
    let provenance = provenance(model, request, started, clock.elapsed().as_secs_f64())?;
    Ok(Map { provenance, grid: model.grid().clone(), columns })
}

/// What `request` would cost on `model`.
///
/// # Errors
/// An unknown metric.
pub fn cost(model: &Model, request: &Request) -> anyhow::Result<tomo_metrics::Cost> {
    Ok(tomo_metrics::cost(model, &request.metrics_request()?))
}

fn provenance(model: &Model, request: &Request, started: SystemTime, seconds: f64) -> anyhow::Result<Provenance> {
    let source = model.source();
    let name = if request.name.is_empty() { request.path.display().to_string() } else { request.name.clone() };
    Ok(Provenance {
        model: name,
        model_digest: source.digest().context("cannot digest the checkpoint")?,
        config_digest: tomo_checkpoint::config_digest(source.config()),
        family: model.family().to_owned(),
        format: source.format().to_string(),
        seed: request.options.seed,
        group: u64::try_from(request.options.group).ok(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: request.command.clone(),
        started: humantime::format_rfc3339_seconds(started).to_string(),
        seconds,
        peak_rss_bytes: peak_rss_bytes(),
        ..Provenance::default()
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
