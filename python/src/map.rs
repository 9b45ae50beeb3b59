//! A map as Python holds it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::json;
use tomograph::embed::{self, Kept};
use tomograph::map::{Column, Map, ViewError, read_json, write_json};

use crate::columns;
use crate::failure::guarded;

/// What is known of one weight matrix.
#[pyclass(frozen, eq, hash, module = "tomograph", get_all)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    layer: u32,
    component: String,
    expert: Option<u32>,
    out_features: u64,
    in_features: u64,
    tensor: String,
    dtype: String,
}

impl From<&tomograph::map::Cell> for Cell {
    fn from(cell: &tomograph::map::Cell) -> Self {
        Self {
            layer: cell.id.layer,
            component: cell.id.component.id().to_owned(),
            expert: cell.id.expert,
            out_features: cell.out_features,
            in_features: cell.in_features,
            tensor: cell.tensor.clone(),
            dtype: cell.dtype.clone(),
        }
    }
}

#[pymethods]
impl Cell {
    /// Number of weights.
    #[getter]
    fn numel(&self) -> u64 {
        self.out_features.saturating_mul(self.in_features)
    }

    fn __str__(&self) -> String {
        let expert = self.expert.map_or_else(String::new, |expert| format!("[{expert}]"));
        format!("L{}.{}{expert}", self.layer, self.component)
    }

    fn __repr__(&self) -> String {
        format!("<Cell {}: {} x {} {}>", self.__str__(), self.out_features, self.in_features, self.dtype)
    }
}

/// The map behind a `tomograph.Map`.
#[pyclass(name = "Core", frozen, module = "tomograph._tomograph")]
pub(crate) struct CoreMap(Arc<Kept>);

impl CoreMap {
    pub(crate) fn new(kept: Kept) -> Self {
        Self(Arc::new(kept))
    }

    fn map(&self) -> &Map {
        &self.0.map
    }

    fn column(&self, metric: &str) -> anyhow::Result<&Column> {
        let known = || self.map().columns.iter().map(|c| c.info.id.as_ref()).collect::<Vec<_>>().join(" ");
        let unknown = || ViewError::UnknownMetric { metric: metric.to_owned(), known: known() };
        self.map().column(metric).ok_or_else(|| unknown().into())
    }
}

#[pymethods]
impl CoreMap {
    /// Reads a map from its file, or from the folder that `map` or `diff` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        guarded(py, || Kept::load(&path).map(Self::new))
    }

    /// A map from the content of its file.
    #[staticmethod]
    fn from_json(py: Python<'_>, json: Vec<u8>) -> PyResult<Self> {
        guarded(py, || Ok(Self::new(Kept { map: read_json(&json)?, ..Kept::default() })))
    }

    /// A map from its `parts`.
    #[staticmethod]
    fn from_parts(py: Python<'_>, json: Vec<u8>, beside: Vec<(String, Vec<u8>)>, ended_early: bool) -> PyResult<Self> {
        guarded(py, || {
            let known = |(name, content): (String, Vec<u8>)| {
                let name = Kept::BESIDE.iter().find(|known| **known == name);
                name.map(|name| (*name, content)).ok_or_else(|| anyhow!("no such file lies beside a map"))
            };
            let beside = beside.into_iter().map(known).collect::<anyhow::Result<_>>()?;
            Ok(Self::new(Kept { map: read_json(&json)?, beside, ended_early }))
        })
    }

    /// All of it, for pickle: the map's file, the files beside it, whether the scan was cancelled.
    #[allow(clippy::type_complexity)] // three things that `from_parts` takes
    fn parts<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyBytes>, Vec<(&'static str, Bound<'py, PyBytes>)>, bool)> {
        let beside = self.0.beside.iter().map(|(name, content)| (*name, PyBytes::new(py, content))).collect();
        Ok((self.json(py)?, beside, self.0.ended_early))
    }

    /// The content of `map.json`.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = guarded(py, || {
            let mut bytes = Vec::new();
            write_json(self.map(), &mut bytes)?;
            Ok(bytes)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes a folder, or a file by its ending.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        guarded(py, || self.0.save(&path))
    }

    /// Writes what other commands read of a map to a folder: no pictures, no reports.
    fn save_numbers(&self, py: Python<'_>, folder: PathBuf) -> PyResult<()> {
        guarded(py, || self.0.save_numbers(&folder))
    }

    fn equals(&self, other: &Self) -> bool {
        self.map() == other.map()
    }

    /// Whether the scan was cancelled before it was done.
    #[getter]
    fn ended_early(&self) -> bool {
        self.0.ended_early
    }

    /// Number of layers.
    #[getter]
    fn layers(&self) -> u32 {
        self.map().grid.layers
    }

    fn cells(&self) -> Vec<Cell> {
        self.map().grid.cells.iter().map(Cell::from).collect()
    }

    fn metrics(&self) -> Vec<String> {
        self.map().columns.iter().map(|column| column.info.id.to_string()).collect()
    }

    /// What a metric's numbers are, as JSON.
    fn info(&self, py: Python<'_>, metric: &str) -> PyResult<String> {
        guarded(py, || Ok(serde_json::to_string(&self.column(metric)?.info)?))
    }

    /// Where the map came from, as JSON.
    fn provenance(&self, py: Python<'_>) -> PyResult<String> {
        guarded(py, || Ok(serde_json::to_string(&self.map().provenance)?))
    }

    /// Where each cell is: layers, indices of components, experts (-1 of a dense projection).
    #[allow(clippy::type_complexity)] // three arrays
    fn places<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<i8>>, Bound<'py, PyArray1<i32>>) {
        let cells = &self.map().grid.cells;
        let layers = cells.iter().map(|cell| columns::small(cell.id.layer)).collect();
        let components = cells.iter().map(|cell| columns::code(cell.id.component.index())).collect();
        let experts = cells.iter().map(|cell| cell.id.expert.map_or(-1, columns::small)).collect();
        (PyArray1::from_vec(py, layers), PyArray1::from_vec(py, components), PyArray1::from_vec(py, experts))
    }

    /// The scores of a metric, parallel to the cells: value, low and high end of the interval; NaN where there is none.
    fn scores<'py>(&self, py: Python<'py>, metric: &str) -> PyResult<Vec<Bound<'py, PyArray1<f64>>>> {
        let numbers = guarded(py, || {
            let scores = &self.column(metric)?.scores;
            let low = |score: &tomograph::map::Score| score.interval().map(|i| i.0);
            let high = |score: &tomograph::map::Score| score.interval().map(|i| i.1);
            let of = |number: &dyn Fn(&tomograph::map::Score) -> Option<f64>| -> Vec<f64> {
                scores.iter().map(|score| number(score).unwrap_or(f64::NAN)).collect()
            };
            Ok([of(&tomograph::map::Score::value), of(&low), of(&high)])
        })?;
        Ok(numbers.into_iter().map(|column| PyArray1::from_vec(py, column)).collect())
    }

    /// The tidy table, column by column: a row per metric and cell. Arrays own what they show.
    fn table<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        guarded(py, || Ok(columns::Columns::of(self.map())))?.into_dict(py)
    }

    /// The map drawn in a format; `look` are words of the command line.
    #[pyo3(signature = (metric, format, look))]
    fn draw<'py>(
        &self,
        py: Python<'py>,
        metric: Option<&str>,
        format: &str,
        look: Vec<OsString>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let drawn = guarded(py, || embed::draw(self.map(), metric, format, look))?;
        Ok(PyBytes::new(py, &drawn))
    }

    /// The picture of a metric with everything decided, as JSON: words, order, colours, numbers row by row from the top.
    #[pyo3(signature = (metric, look))]
    fn scene(&self, py: Python<'_>, metric: Option<&str>, look: Vec<OsString>) -> PyResult<String> {
        guarded(py, || {
            let scene = embed::scene(self.map(), metric, look)?;
            let bar = scene.bar.as_ref().map(|bar| {
                let colours: Vec<String> = bar.colours.iter().map(|colour| colour.hex()).collect();
                json!({ "low": bar.scale.low, "high": bar.scale.high, "label": bar.label, "colours": colours })
            });
            Ok(json!({
                "title": scene.title, "subtitle": scene.subtitle, "row_axis": scene.row_axis, "column_axis": scene.column_axis,
                "columns": scene.columns, "rows": scene.rows, "ticks": scene.ticks, "bar": bar, "missing": scene.missing,
                "notes": scene.notes, "values": scene.cells.iter().map(|cell| cell.value).collect::<Vec<_>>(),
                "colours": scene.cells.iter().map(|cell| cell.colour.map(|colour| colour.hex())).collect::<Vec<_>>(),
            })
            .to_string())
        })
    }
}
