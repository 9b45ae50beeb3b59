use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CellId, Grid, MetricInfo, Score, Sides};

/// All scores of one metric, parallel to `grid.cells`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Column {
    /// What the numbers are.
    #[serde(flatten)]
    pub info: MetricInfo,
    /// One score per cell of the grid, in its order.
    pub scores: Vec<Score>,
}

/// Where a map came from; everything a reader needs to make it again.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// Model as the user named it.
    pub model: String,
    /// Digest of the checkpoint's contents.
    pub model_digest: String,
    /// Digest of its configuration, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
    /// Family id, e.g. `llama`.
    pub family: String,
    /// Checkpoint format, e.g. `gguf`.
    pub format: String,
    /// Dimensions of the model by their letters (`L`, `D`, `H`, …), as far as they are known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dims: BTreeMap<String, u64>,
    /// The text, for metrics that read one, in words: which files, or the bundled sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Digest of the token ids that were run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_digest: Option<String>,
    /// Tokens of that text that were run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Sequences they were run in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequences: Option<u64>,
    /// Which tokens the loss is of that gradients were taken of, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// Draws of labels from the model, for metrics that need them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draws: Option<u64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Group size of the simulated integer formats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u64>,
    /// Version of the program.
    pub version: String,
    /// Command line, as typed.
    pub command: String,
    /// Start of the scan, RFC 3339.
    pub started: String,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Peak resident memory in bytes, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
}

/// All scores of one scan.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Map {
    /// Where it came from.
    pub provenance: Provenance,
    /// The cells.
    pub grid: Grid,
    /// One column per metric, in the registry's order.
    pub columns: Vec<Column>,
    /// What it is a difference of, if it is one.
    pub sides: Option<Box<Sides>>,
}

impl Map {
    /// The column of metric `id`.
    pub fn column(&self, id: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.info.id == id)
    }

    /// The score of one cell under one metric.
    pub fn score(&self, metric: &str, cell: CellId) -> Option<&Score> {
        let at = self.grid.cells.binary_search_by_key(&cell, |c| c.id).ok()?;
        self.column(metric)?.scores.get(at)
    }
}
