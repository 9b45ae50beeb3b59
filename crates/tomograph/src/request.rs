//! What to scan, and how.

use std::path::PathBuf;
use std::sync::Arc;

use tomo_metrics::{Cast, Options, OwnMetric, Request as MetricsRequest, Selected};
use tomo_model::CellOverride;

use crate::parts::Cut;
use crate::run::{RunOptions, TextRequest};

/// What to scan and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Folder or file of the checkpoint, or the address of one in a store (`s3://bucket/folder`).
    pub path: PathBuf,
    /// The model as the user named it (a hub name, say); the path where empty.
    pub name: String,
    /// Metrics, in the registry's order.
    pub metrics: Vec<Selected>,
    /// Metrics of the user's, after those. With them and no others, there are no others.
    pub own: Vec<Arc<OwnMetric>>,
    /// Cells the family does not know, named by the user.
    pub cells: Vec<CellOverride>,
    /// The checkpoint to compare with (what the model was before it was tuned), for metrics that compare, and for those that put
    /// cells of it into the model.
    pub against: Option<PathBuf>,
    /// That checkpoint as the user named it; its path where empty.
    pub against_name: String,
    /// What both sides of a comparison are rounded to first; nothing where `None`.
    pub cast: Option<Cast>,
    /// Whether cells that cannot be compared are left out instead of being an error.
    pub partial: bool,
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
    /// Draws for `predicted-kl-*`; chosen by the number of sequences where `None`.
    pub draws: Option<usize>,
    /// Where reverse passes leave what they need to go on after they were ended, and find it; nowhere where `None`.
    pub resume: Option<PathBuf>,
    /// Where scans of changed models keep what they know while they run, and find it; nowhere where `None`.
    pub keep: Option<PathBuf>,
    /// Which part of the scan is made; the whole where `None`.
    pub cut: Option<Cut>,
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
            own: Vec::new(),
            cells: Vec::new(),
            against: None,
            against_name: String::new(),
            cast: None,
            partial: false,
            options: Options::default(),
            threads: None,
            memory_bytes: None,
            cache: None,
            text: TextRequest::default(),
            run: RunOptions::default(),
            imatrix: None,
            draws: None,
            resume: None,
            keep: None,
            cut: None,
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

    /// The metrics: those asked for, with what may not be left out beside them; or, of a comparison, all of its family; or
    /// all that the weights alone give.
    pub(crate) fn selected(&self) -> anyhow::Result<Vec<Selected>> {
        let all = if self.against.is_some() { "delta" } else { "all" };
        if self.metrics.is_empty() && !self.own.is_empty() {
            return Ok(Vec::new());
        }
        let asked = if self.metrics.is_empty() { tomo_metrics::select(all)? } else { self.metrics.clone() };
        Ok(tomo_metrics::with_companions(asked))
    }

    /// The part of the scan that needs no text.
    pub(crate) fn metrics_request(&self) -> anyhow::Result<MetricsRequest> {
        Ok(MetricsRequest {
            metrics: self.selected()?.into_iter().filter(|m| !m.reads_text() && !m.reads_base()).collect(),
            own: self.own.iter().filter(|m| !m.reads_taps()).map(Arc::clone).collect(),
            options: self.options.clone(),
            threads: self.threads,
            cache_dir: self.cache.clone(),
            memory_bytes: self.memory_bytes,
            cells: None,
        })
    }
}
