//! The tidy table of a map as columns that numpy and Arrow can take over without copying.

use numpy::{Element, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tomograph::map::{Component, Map, Score, Status};

/// Statuses in the order of their codes.
const STATUSES: [(Status, &str); 4] = [
    (Status::Ok, "ok"),
    (Status::Undefined, "undefined"),
    (Status::NotMeasured, "not-measured"),
    (Status::NotApplicable, "not-applicable"),
];

/// Which rows have a number: Arrow's validity bitmap, least significant bit first.
#[derive(Default)]
struct Validity {
    bits: Vec<u8>,
    rows: usize,
}

impl Validity {
    fn push(&mut self, is_valid: bool) {
        if self.rows.is_multiple_of(8) {
            self.bits.push(0);
        }
        if let Some(last) = self.bits.last_mut() {
            *last |= u8::from(is_valid) << (self.rows % 8);
        }
        self.rows += 1;
    }
}

/// A column with gaps.
struct Nullable<T> {
    values: Vec<T>,
    validity: Validity,
}

impl<T> Default for Nullable<T> {
    fn default() -> Self {
        Self { values: Vec::new(), validity: Validity::default() }
    }
}

impl<T> Nullable<T> {
    fn push(&mut self, value: Option<T>, gap: T) {
        self.validity.push(value.is_some());
        self.values.push(value.unwrap_or(gap));
    }
}

/// Text that may be missing: where each begins, and all of it.
struct Texts {
    offsets: Vec<i64>,
    bytes: Vec<u8>,
    validity: Validity,
}

impl Texts {
    fn push(&mut self, text: Option<&str>) {
        self.validity.push(text.is_some());
        self.bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        self.offsets.push(i64::try_from(self.bytes.len()).unwrap_or(i64::MAX));
    }
}

/// The table, a row per metric and cell, metric by metric, in the order of `map.csv`.
pub(crate) struct Columns {
    layer: Vec<i32>,
    component: Vec<i8>,
    expert: Nullable<i32>,
    metric: Vec<i32>,
    value: Nullable<f64>,
    ci_low: Nullable<f64>,
    ci_high: Nullable<f64>,
    numel: Vec<i64>,
    status: Vec<i8>,
    reason: Texts,
    metrics: Vec<String>,
}

/// A count of a map's grid, which is bounded when a map is read.
pub(crate) fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// An index into a list of a few words.
pub(crate) fn code(index: usize) -> i8 {
    i8::try_from(index).unwrap_or(i8::MAX)
}

impl Columns {
    pub(crate) fn of(map: &Map) -> Self {
        let mut columns = Self {
            layer: Vec::new(),
            component: Vec::new(),
            expert: Nullable::default(),
            metric: Vec::new(),
            value: Nullable::default(),
            ci_low: Nullable::default(),
            ci_high: Nullable::default(),
            numel: Vec::new(),
            status: Vec::new(),
            reason: Texts { offsets: vec![0], bytes: Vec::new(), validity: Validity::default() },
            metrics: map.columns.iter().map(|column| column.info.id.to_string()).collect(),
        };
        for (metric, column) in map.columns.iter().enumerate() {
            for (cell, score) in map.grid.cells.iter().zip(&column.scores) {
                columns.layer.push(small(cell.id.layer));
                columns.component.push(code(cell.id.component.index()));
                columns.expert.push(cell.id.expert.map(small), -1);
                columns.numel.push(i64::try_from(cell.numel()).unwrap_or(i64::MAX));
                columns.metric.push(i32::try_from(metric).unwrap_or(i32::MAX));
                columns.push_score(score);
            }
        }
        columns
    }

    fn push_score(&mut self, score: &Score) {
        let interval = score.interval();
        self.value.push(score.value(), f64::NAN);
        self.ci_low.push(interval.map(|i| i.0), f64::NAN);
        self.ci_high.push(interval.map(|i| i.1), f64::NAN);
        self.status.push(code(STATUSES.iter().position(|(s, _)| *s == score.status()).unwrap_or_default()));
        self.reason.push(score.reason());
    }

    /// Arrays by name: `x` with `x_validity` where it has gaps, `reason` as `reason_offsets` and `reason_bytes`; and the words behind codes:
    /// `components`, `metrics`, `statuses`.
    pub(crate) fn into_dict(self, py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let dict = PyDict::new(py);
        put(&dict, "layer", self.layer)?;
        put(&dict, "component", self.component)?;
        put_nullable(&dict, "expert", self.expert)?;
        put(&dict, "metric", self.metric)?;
        put_nullable(&dict, "value", self.value)?;
        put_nullable(&dict, "ci_low", self.ci_low)?;
        put_nullable(&dict, "ci_high", self.ci_high)?;
        put(&dict, "numel", self.numel)?;
        put(&dict, "status", self.status)?;
        put(&dict, "reason_offsets", self.reason.offsets)?;
        put(&dict, "reason_bytes", self.reason.bytes)?;
        put(&dict, "reason_validity", self.reason.validity.bits)?;
        dict.set_item("components", Component::ALL.map(Component::id))?;
        dict.set_item("metrics", self.metrics)?;
        dict.set_item("statuses", STATUSES.map(|(_, name)| name))?;
        Ok(dict)
    }
}

fn put<T: Element>(dict: &Bound<'_, PyDict>, name: &str, values: Vec<T>) -> PyResult<()> {
    dict.set_item(name, PyArray1::from_vec(dict.py(), values))
}

fn put_nullable<T: Element>(dict: &Bound<'_, PyDict>, name: &str, column: Nullable<T>) -> PyResult<()> {
    put(dict, &format!("{name}_validity"), column.validity.bits)?;
    put(dict, name, column.values)
}
