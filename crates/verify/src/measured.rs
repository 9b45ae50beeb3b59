//! `measured.json`: what each sequence of the text said of each cell, as a scan leaves it beside its map.

use std::collections::BTreeMap;

use serde::Deserialize;
use tomo_map::stats::SequenceTable;
use tomo_map::{Cell, CellId, Component};

use crate::VerifyError;

/// Schema of `measured.json`.
pub const MEASURED_SCHEMA: &str = "tomograph.measured/1";

/// Values by sequence of the metrics that were measured by changing cells.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    /// Digest of the checkpoint.
    pub model_digest: String,
    /// Digest of the token ids.
    pub text_digest: String,
    metrics: BTreeMap<String, OfMetric>,
}

#[derive(Clone, PartialEq, Debug)]
struct OfMetric {
    tokens: Vec<f64>,
    cells: BTreeMap<CellId, Vec<Option<f64>>>,
}

#[derive(Deserialize)]
struct File {
    schema: String,
    #[serde(default)]
    model_digest: String,
    #[serde(default)]
    text_digest: String,
    metrics: Vec<FileMetric>,
}

#[derive(Deserialize)]
struct FileMetric {
    metric: String,
    tokens: Vec<f64>,
    cells: Vec<FileCell>,
}

#[derive(Deserialize)]
struct FileCell {
    layer: u32,
    component: Component,
    #[serde(default)]
    expert: Option<u32>,
    /// Per predicted token, sequence by sequence; null where the cell did not get it.
    value: Vec<Option<f64>>,
}

impl Measured {
    /// Reads `measured.json` and checks it. Fields this version does not know are passed over.
    ///
    /// # Errors
    /// [`VerifyError::Measured`] with the place: not JSON, another schema, lengths that do not fit, numbers that are not
    /// finite, a cell or a metric twice.
    pub fn read(bytes: &[u8]) -> Result<Self, VerifyError> {
        let file: File = serde_json::from_slice(bytes).map_err(|e| {
            let place = format!("line {} column {}", e.line(), e.column());
            wrong(place, "the fields of measured.json", e.to_string().escape_debug().take(200).collect::<String>())
        })?;
        if file.schema != MEASURED_SCHEMA {
            let found: String = file.schema.escape_debug().take(80).collect();
            return Err(wrong("schema", format!("{MEASURED_SCHEMA:?}"), format!("\"{found}\"")));
        }
        let mut metrics = BTreeMap::new();
        for (at, of_metric) in file.metrics.into_iter().enumerate() {
            let place = format!("metrics[{at}]");
            let read = OfMetric::read(&of_metric, &place)?;
            if metrics.insert(of_metric.metric, read).is_some() {
                return Err(wrong(place, "metrics that occur once", "one again"));
            }
        }
        Ok(Self { model_digest: file.model_digest, text_digest: file.text_digest, metrics })
    }

    /// The table of `metric` over `cells`, in their order. `None` where the metric or one of the cells was not kept.
    pub fn table<'a>(&self, metric: &str, cells: impl Iterator<Item = &'a Cell>) -> Option<SequenceTable> {
        let of_metric = self.metrics.get(metric)?;
        let (mut sums, mut tokens) = (Vec::new(), Vec::new());
        for cell in cells {
            for (value, n) in of_metric.cells.get(&cell.id)?.iter().zip(&of_metric.tokens) {
                sums.push(value.unwrap_or(0.0) * n);
                tokens.push(if value.is_some() { *n } else { 0.0 });
            }
        }
        SequenceTable::new(of_metric.tokens.len(), sums, tokens)
    }
}

impl OfMetric {
    fn read(file: &FileMetric, place: &str) -> Result<Self, VerifyError> {
        let counts = |n: &f64| n.is_finite() && *n >= 0.0;
        if !file.tokens.iter().all(counts) {
            return Err(wrong(format!("{place}.tokens"), "finite counts", "another number"));
        }
        let mut cells = BTreeMap::new();
        for (at, cell) in file.cells.iter().enumerate() {
            let place = format!("{place}.cells[{at}]");
            let id = CellId { layer: cell.layer, component: cell.component, expert: cell.expert };
            if cell.value.len() != file.tokens.len() {
                let expected = format!("{} values, one for each sequence", file.tokens.len());
                return Err(wrong(format!("{place}.value"), expected, cell.value.len().to_string()));
            }
            if cells.insert(id, cell.value.clone()).is_some() {
                return Err(wrong(place, "cells that occur once", format!("{id} again")));
            }
        }
        Ok(Self { tokens: file.tokens.clone(), cells })
    }
}

fn wrong(place: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> VerifyError {
    VerifyError::Measured { place: place.into(), expected: expected.into(), found: found.into() }
}
