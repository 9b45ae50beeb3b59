//! A model beside what it was before: the second checkpoint of a scan that compares.

use std::sync::Arc;

use anyhow::{Context, ensure};
use tomo_map::{Against, Beside, Column};
use tomo_metrics::{ModelPairs, Progress, Request as MetricsRequest, Selected};
use tomo_model::Model;

use crate::scan::{Request, open_base};

/// The base, opened and found to fit the model.
pub(crate) struct Comparison {
    base: Arc<Model>,
    partial: bool,
    notes: Vec<String>,
    metrics: Vec<Selected>,
}

impl Comparison {
    /// Opens the base that `request` names; `None` where it names none.
    ///
    /// # Errors
    /// A metric that compares without a base, a base without such a metric, a base that does not fit the model.
    pub(crate) fn new(model: &Model, request: &Request, selected: &[Selected]) -> anyhow::Result<Option<Self>> {
        let metrics: Vec<Selected> = selected.iter().filter(|s| s.reads_base()).copied().collect();
        let Some(path) = &request.against else {
            ensure!(
                metrics.is_empty(),
                "{} compares the model with what it was before\n  hint: name that checkpoint: --against BASE",
                metrics[0].id()
            );
            return Ok(None);
        };
        ensure!(
            !metrics.is_empty() || selected.iter().any(Selected::patches),
            "none of the metrics reads --against\n  hint: add delta, the family of those that compare, or leave --metric out"
        );
        let base = Arc::new(open_base(path, request)?);
        let mut notes = ModelPairs::new(model, &base, request.partial)?.notes();
        if let Some(cast) = request.cast {
            notes.push(format!("both sides were rounded to {cast} before they were compared"));
        }
        Ok(Some(Self { base, partial: request.partial, notes, metrics }))
    }

    /// The base.
    pub(crate) fn base(&self) -> &Arc<Model> {
        &self.base
    }

    /// What a reader has to know.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// One pass over both.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub(crate) fn scan(
        &self,
        model: &Model,
        request: &Request,
        cells: Option<Vec<usize>>,
        progress: &dyn Progress,
    ) -> anyhow::Result<Vec<Column>> {
        if self.metrics.is_empty() {
            return Ok(Vec::new());
        }
        let pairs = ModelPairs::new(model, &self.base, self.partial)?.rounded_to(request.cast);
        let request = MetricsRequest {
            metrics: self.metrics.clone(),
            own: Vec::new(),
            options: request.options.clone(),
            threads: request.threads,
            cache_dir: None,
            memory_bytes: request.memory_bytes,
            cells,
        };
        Ok(tomo_metrics::scan_delta(&pairs, &request, progress)?)
    }

    /// What changed beside the grid.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub(crate) fn beside(&self, model: &Model) -> anyhow::Result<Option<Beside>> {
        if self.metrics.is_empty() {
            return Ok(None);
        }
        let table = tomo_metrics::norm_gain_drift(model, &self.base)?;
        Ok((!table.rows.is_empty()).then_some(table))
    }

    /// Where the base came from.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn provenance(&self, request: &Request) -> anyhow::Result<Against> {
        against(&self.base, request, self.notes.clone())
    }
}

/// Where the base of `request` came from.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn against(base: &Model, request: &Request, notes: Vec<String>) -> anyhow::Result<Against> {
    let source = base.source();
    let name = match request.against_name.as_str() {
        "" => source.path().display().to_string(),
        name => name.to_owned(),
    };
    Ok(Against {
        model: name,
        model_digest: source.digest().context("cannot digest the checkpoint of --against")?,
        config_digest: tomo_checkpoint::config_digest(source.config()),
        format: source.format().to_string(),
        cast: request.cast.map(|cast| cast.to_string()),
        notes,
    })
}
