//! Metrics that are Python callables.

use std::borrow::Cow;
use std::sync::Arc;

use numpy::{PyArray, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tomograph::map::{Additivity, Direction, Meaning, MetricInfo, Scope};
use tomograph::metrics::{Matrix, OfTaps, OfWeights, OwnError, OwnFormula, OwnMetric};
use tomograph::model::engine::Rows;

use crate::map::Cell;

/// A metric from a `tomograph.OwnMetric`.
pub(crate) fn metric(own: &Bound<'_, PyAny>) -> PyResult<Arc<OwnMetric>> {
    let text = |name: &str| own.getattr(name)?.extract::<String>();
    let call: Arc<Py<PyAny>> = Arc::new(own.getattr("function")?.unbind());
    let of_taps = text("reads")? == "taps";
    let direction = match text("direction")?.as_str() {
        "high" => Direction::High,
        "low" => Direction::Low,
        _ => Direction::Neutral,
    };
    let info = MetricInfo {
        id: text("id")?.into(),
        title: text("title")?.into(),
        summary: text("summary")?.into(),
        unit: text("unit")?.into(),
        family: Cow::Borrowed(OwnMetric::FAMILY),
        meaning: if of_taps { Meaning::Used } else { Meaning::Structure },
        direction,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("A metric of the user's own, computed by a function that this map does not hold."),
    };
    let formula = match of_taps {
        true => OwnFormula::Taps(from_taps(call)),
        false => OwnFormula::Weights(from_weights(call)),
    };
    Ok(Arc::new(OwnMetric { info, formula }))
}

fn from_weights(call: Arc<Py<PyAny>>) -> Box<OfWeights> {
    Box::new(move |cell, weights: Matrix<'_>| {
        let (values, shape) = (weights.values.to_vec(), [weights.rows, weights.cols]);
        attached(|py| {
            let weights = array(py, values, shape)?;
            value(call.bind(py).call1((Cell::from(cell), weights))?)
        })
    })
}

fn from_taps(call: Arc<Py<PyAny>>) -> Box<OfTaps> {
    Box::new(move |cell, inputs, outputs| {
        let (x, y) = (dense(inputs), dense(outputs));
        let (of_x, of_y) = ([inputs.len(), inputs.cols()], [outputs.len(), outputs.cols()]);
        attached(|py| value(call.bind(py).call1((Cell::from(cell), array(py, x, of_x)?, array(py, y, of_y)?))?))
    })
}

/// Runs Python on a thread of the scan.
fn attached<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, OwnError> {
    // There is none any more when the interpreter ends before a scan that was left to itself.
    let done = Python::try_attach(work);
    Ok(done.unwrap_or_else(|| Err(PyRuntimeError::new_err("the interpreter is gone")))?)
}

/// A read-only array that owns its numbers: whoever keeps it, or a view of it, keeps them alive.
fn array(py: Python<'_>, values: Vec<f32>, shape: [usize; 2]) -> PyResult<Bound<'_, PyArray2<f32>>> {
    let array = PyArray::from_vec(py, values).reshape(shape)?;
    drop(array.try_readwrite()?.make_nonwriteable());
    Ok(array)
}

fn dense(rows: Rows<'_>) -> Vec<f32> {
    rows.iter().flatten().copied().collect()
}

/// What a metric said: a number, or `None`.
fn value(said: Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    said.extract()
}
