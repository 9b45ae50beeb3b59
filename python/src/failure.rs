//! Errors on their way to Python: one exception class.

use std::any::Any;

use pyo3::prelude::*;
use tomograph::embed::Failure;

/// `error` as `tomograph.Error`. An exception of a metric of the caller's is its cause.
pub(crate) fn raised(py: Python<'_>, error: anyhow::Error) -> PyErr {
    let cause = error.chain().find_map(|e| e.downcast_ref::<PyErr>()).map(|e| e.clone_ref(py));
    let raised = of_failure(py, &Failure::of(&error));
    if cause.is_some() {
        raised.set_cause(py, cause);
    }
    raised
}

/// A panic as `tomograph.Error` of kind "internal".
pub(crate) fn of_panic(py: Python<'_>, payload: &(dyn Any + Send)) -> PyErr {
    of_failure(py, &Failure::of_panic(payload))
}

fn of_failure(py: Python<'_>, failure: &Failure) -> PyErr {
    let Failure { kind, message, site, expected, found, hint } = failure;
    let error = py
        .import("tomograph._error")
        .and_then(|module| module.getattr("Error"))
        .and_then(|class| class.call1((message, kind, site, expected, found, hint)));
    error.map_or_else(|e| e, PyErr::from_value)
}

/// What `work` gives; its errors and panics as exceptions. For what is too short for a thread of its own.
pub(crate) fn guarded<T>(py: Python<'_>, work: impl FnOnce() -> anyhow::Result<T> + Send) -> PyResult<T>
where
    T: Send,
{
    match py.detach(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(raised(py, error)),
        Err(panic) => Err(of_panic(py, panic.as_ref())),
    }
}
