//! Tomograph in Python: the module `tomograph._tomograph`.
//!
//! It carries things across: command lines and callables in, maps and errors out. What a command means, and what its options are, is
//! the command line's business ([`tomograph::embed`]); what users see is written in Python, beside this crate.

mod columns;
mod failure;
mod map;
mod own;
mod work;

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;
use tomograph::cli::{Streams, Watch, run_from};
use tomograph::embed;
use tomograph::parts::Part;
use tomograph::scan::Foreseen;

use failure::guarded;
use map::{Cell, CoreMap};
use work::{Buffer, Progress, attended, supervised};

/// Runs a command line (without the program's name): its exit code, what it printed, what it said on the way.
///
/// `tell(done, total, what)` is called on the calling thread while it runs.
#[pyfunction]
#[pyo3(signature = (args, tell=None))]
fn run(py: Python<'_>, args: Vec<OsString>, tell: Option<Bound<'_, PyAny>>) -> PyResult<(u8, Vec<u8>, String)> {
    supervised(py, tell.as_ref(), move |watch| {
        let (out, err) = (Buffer::default(), Buffer::default());
        let exit = embed::try_run_from(named(args), &mut streams(&out, &err, watch))?;
        Ok((exit.code(), out.bytes(), err.text()))
    })
}

/// Makes the map that `tomograph map ARGS` makes, with metrics of the caller's: the map, and what was said on the way.
#[pyfunction]
#[pyo3(signature = (args, own=Vec::new(), tell=None))]
fn scan(
    py: Python<'_>,
    args: Vec<OsString>,
    own: Vec<Bound<'_, PyAny>>,
    tell: Option<Bound<'_, PyAny>>,
) -> PyResult<(CoreMap, String)> {
    let own = own.iter().map(own::metric).collect::<PyResult<Vec<_>>>()?;
    supervised(py, tell.as_ref(), move |watch| {
        let (out, err) = (Buffer::default(), Buffer::default());
        let kept = embed::scan(named(args), own, &mut streams(&out, &err, watch))?;
        Ok((CoreMap::new(kept), err.text()))
    })
}

/// Puts parts together, each by a name and its bytes; `model` says where the checkpoint is, if not where the parts found it.
#[pyfunction]
#[pyo3(signature = (parts, model=None))]
fn merge(
    py: Python<'_>,
    parts: Vec<(String, Bound<'_, PyBytes>)>,
    model: Option<String>,
) -> PyResult<(CoreMap, String)> {
    // Borrowed from Python until they are read: a part may be large.
    let views: Vec<(&String, &[u8])> = parts.iter().map(|(name, bytes)| (name, bytes.as_bytes())).collect();
    let parts: Vec<Part> =
        guarded(py, || views.into_iter().map(|(name, bytes)| Part::from_bytes(bytes, name)).collect())?;
    supervised(py, None, move |watch| {
        let (out, err) = (Buffer::default(), Buffer::default());
        let kept = embed::merge(&parts, model.as_deref(), &mut streams(&out, &err, watch))?;
        Ok((CoreMap::new(kept), err.text()))
    })
}

/// What the scan that `tomograph map ARGS` asks for will take, as JSON; it is prepared, and not made.
#[pyfunction]
fn foresee(py: Python<'_>, args: Vec<OsString>) -> PyResult<String> {
    supervised(py, None, move |watch| {
        let (out, err) = (Buffer::default(), Buffer::default());
        let Foreseen { peak_bytes, sequences, most_parts } =
            embed::foresee(named(args), &mut streams(&out, &err, watch))?;
        let found = json!({ "peak_bytes": peak_bytes, "sequences": sequences, "most_parts": most_parts });
        Ok(found.to_string())
    })
}

/// The program itself: `args` without its name, the process's own streams; its exit code. The first Ctrl-C asks what runs to stop and
/// leave what it has, the second ends it.
#[pyfunction]
fn main(py: Python<'_>, args: Vec<OsString>) -> PyResult<u8> {
    let watch = Arc::new(Progress::default());
    let watching: Arc<dyn Watch> = watch.clone();
    attended(py, &watch, move || {
        let mut streams = Streams { watch: Some(watching), ..Streams::of_process() };
        run_from(named(args), &mut streams).code()
    })
}

/// Every entry of every registry, as JSON.
#[pyfunction]
fn registries(py: Python<'_>) -> PyResult<String> {
    guarded(py, || Ok(serde_json::Value::from(embed::registries()).to_string()))
}

/// What every command takes, as JSON.
#[pyfunction]
fn options(py: Python<'_>) -> PyResult<String> {
    guarded(py, || Ok(embed::options().to_string()))
}

/// Kinds of errors and what they mean.
#[pyfunction]
fn error_kinds() -> Vec<(&'static str, &'static str)> {
    embed::Failure::KINDS.to_vec()
}

/// A bug, so that tests can see what becomes of one.
#[pyfunction]
#[allow(clippy::panic)] // that is what it is for
fn bug_for_tests(py: Python<'_>) -> PyResult<()> {
    supervised(py, None, |_| panic!("on purpose"))
}

/// The command line with the program's name first.
fn named(args: Vec<OsString>) -> impl Iterator<Item = OsString> {
    std::iter::once(OsString::from("tomograph")).chain(args)
}

/// Streams into memory, with nobody at a terminal.
fn streams(out: &Buffer, err: &Buffer, watch: Arc<dyn Watch>) -> Streams {
    Streams {
        input: Box::new(io::empty()),
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        terminal: tomograph::render::Terminal::default(),
        out_is_terminal: false,
        draw_progress: false,
        watch: Some(watch),
    }
}

#[pymodule]
fn _tomograph(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<CoreMap>()?;
    module.add_class::<Cell>()?;
    module.add_function(wrap_pyfunction!(run, module)?)?;
    module.add_function(wrap_pyfunction!(scan, module)?)?;
    module.add_function(wrap_pyfunction!(merge, module)?)?;
    module.add_function(wrap_pyfunction!(foresee, module)?)?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(registries, module)?)?;
    module.add_function(wrap_pyfunction!(options, module)?)?;
    module.add_function(wrap_pyfunction!(bug_for_tests, module)?)?;
    module.add_function(wrap_pyfunction!(error_kinds, module)?)
}
