//! Tomograph in Python: the module `tomograph._tomograph`.

use pyo3::prelude::*;

#[pymodule]
fn _tomograph(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
