use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CellId, Grid, Inventory, Measurement, MetricInfo, Score, Sides};

/// All scores of one metric, parallel to `grid.cells`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Column {
    /// What the numbers are.
    #[serde(flatten)]
    pub info: MetricInfo,
    /// One score per cell of the grid, in its order.
    pub scores: Vec<Score>,
    /// How they were measured, where that took passes of a changed model for each cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<Measurement>,
}

impl Column {
    /// Scores of a metric, parallel to the cells of a grid.
    pub fn new(info: MetricInfo, scores: Vec<Score>) -> Self {
        Self { info, scores, measurement: None }
    }
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
    /// A sample of the passages of that text, as crate `text` writes it, by which another text can be told to have some of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_passages: Option<String>,
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
    /// What the model was compared with, for metrics that compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

/// The checkpoint that a model was compared with: what it was before.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Against {
    /// It, as the user named it.
    pub model: String,
    /// Digest of its contents.
    pub model_digest: String,
    /// Digest of its configuration, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
    /// Its format, e.g. `safetensors`.
    pub format: String,
    /// The type that both sides were rounded to before they were compared, if they were: `bf16`, `f16`, `f32`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cast: Option<String>,
    /// What a reader has to know about the comparison; whole sentences without the full stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Numbers of what is no cell, shown beside the grid: the norms of a model, say.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Beside {
    /// Identifier of the measure, kebab-case.
    pub id: String,
    /// Name for titles.
    pub title: String,
    /// One sentence that says what the numbers are.
    pub summary: String,
    /// Unit of the numbers.
    pub unit: String,
    /// The numbers, in the order of layers.
    pub rows: Vec<BesideRow>,
}

/// One number of a [`Beside`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BesideRow {
    /// The layer it belongs to; of none where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<u32>,
    /// What it is of, in words.
    pub name: String,
    /// The tensor, as the checkpoint names it.
    pub tensor: String,
    /// The number, or why there is none.
    #[serde(flatten)]
    pub score: Score,
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
    /// Tables of what is no cell.
    pub beside: Vec<Beside>,
    /// What the checkpoint holds beside its cells, and what other programs call them; of maps made before plans, nothing.
    pub inventory: Option<Box<Inventory>>,
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
