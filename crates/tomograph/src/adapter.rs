//! A map of what an adapter changes: with its base or without.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, ensure};
use tomo_checkpoint::{AdapterFiles, Config};
use tomo_map::{Map, Provenance};
use tomo_metrics::{AdapterPairs, Request as MetricsRequest, Selected};
use tomo_model::{Adapter, Change, Changes, Model};

use crate::comparison::against;
use crate::provenance::provenance_of_scan;
use crate::scan::{Request, Scanned, Watcher, open_base};

/// A scan of an adapter with everything decided: its cells are found, nothing is read.
pub struct AdapterScan<'a> {
    request: &'a Request,
    config: Config,
    changes: Changes,
    base: Option<Model>,
    metrics: Vec<Selected>,
    notes: Vec<String>,
}

impl<'a> AdapterScan<'a> {
    /// Prepares the scan of the adapter that `request` names.
    ///
    /// # Errors
    /// An adapter that is not understood or does not fit the base; a metric that is not of a change.
    pub fn new(files: &AdapterFiles, request: &'a Request) -> anyhow::Result<Self> {
        let asked = if request.metrics.is_empty() { tomo_metrics::select("delta")? } else { request.metrics.clone() };
        let metrics = tomo_metrics::with_companions(asked);
        if let Some(other) = metrics.iter().find(|s| !s.reads_base()) {
            anyhow::bail!(
                "{} is not of a change, which is all that an adapter has\n  hint: --metric delta, or merge the adapter with \
                 peft and map the merged model",
                other.id()
            );
        }
        ensure!(request.imatrix.is_none(), "an adapter is not run, so an imatrix says nothing about it");
        if let Some(own) = request.own.first() {
            anyhow::bail!(
                "{} cannot be scored: an adapter is neither run nor held whole\n  hint: merge the adapter with peft and map the merged \
                 model",
                own.info.id
            );
        }
        let adapter = Arc::new(Adapter::open(files)?);
        let base = request.against.as_deref().map(|path| open_base(path, request)).transpose()?;
        let changes = match &base {
            Some(base) => adapter.against(base)?,
            None => adapter.alone()?,
        };
        let notes = notes(&changes, base.as_ref(), request);
        let config = Config::HuggingFace(serde_json::from_slice(&files.config)?);
        Ok(Self { request, config, changes, base, metrics, notes })
    }

    /// What a reader has to know; whole sentences without the full stop.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Scans.
    ///
    /// # Errors
    /// When a tensor cannot be read. A cancelled scan is not an error.
    pub fn run(self, progress: &dyn Watcher) -> anyhow::Result<Scanned> {
        let Self { request, config, changes, base, metrics, notes } = self;
        let started = SystemTime::now();
        let clock = Instant::now();
        let pairs = AdapterPairs::new(&changes, base.as_ref()).rounded_to(request.cast);
        let metrics_request = MetricsRequest {
            metrics,
            own: Vec::new(),
            options: request.options.clone(),
            threads: request.threads,
            cache_dir: None,
            memory_bytes: request.memory_bytes,
            cells: None,
        };
        let columns = tomo_metrics::scan_delta(&pairs, &metrics_request, progress)?;
        let source = changes.adapter().source();
        let about = Provenance {
            model_digest: source.digest().context("cannot digest the adapter")?,
            config_digest: tomo_checkpoint::config_digest(&config),
            family: changes.family().to_owned(),
            format: "peft-lora".to_owned(),
            dims: changes.dims().letters().into_iter().map(|(letter, n)| (letter.to_owned(), n)).collect(),
            against: base.as_ref().map(|base| against(base, request, notes)).transpose()?,
            ..Provenance::default()
        };
        let provenance = provenance_of_scan(request, started, clock.elapsed().as_secs_f64(), about);
        let map = Map { provenance, grid: changes.grid().clone(), columns, ..Map::default() };
        Ok(Scanned { map, draws: Vec::new(), measured: Vec::new(), ended_early: false, spent: Vec::new(), part: None })
    }
}

fn notes(changes: &Changes, base: Option<&Model>, request: &Request) -> Vec<String> {
    let config = changes.adapter().config();
    let hit = changes.cells().iter().filter(|c| **c != Change::None).count();
    let mut notes = Vec::new();
    match base {
        Some(_) => notes.push(format!("the adapter changes {hit} of {} cells", changes.cells().len())),
        None => {
            let base = config.base.as_deref().map_or(String::new(), |base| format!(" (it names {base:?})"));
            notes.push(format!(
                "the adapter changes {hit} cells; most metrics need the weights before the change: --against BASE{base}"
            ));
        }
    }
    let mut off_grid = BTreeMap::<&str, usize>::new();
    for tensor in changes.off_grid() {
        *off_grid.entry(tensor.what).or_default() += 1;
    }
    if !off_grid.is_empty() {
        let kinds: Vec<String> = off_grid.iter().map(|(what, count)| format!("{what} ({count})")).collect();
        notes.push(format!("not on the grid, and not scored: {}", kinds.join(", ")));
    }
    if let Some(cast) = request.cast {
        notes.push(format!("W0 and W0 + s B A were rounded to {cast} before they were compared, as merging would"));
    }
    notes
}
