//! Work on another thread, while the calling one stays a Python thread: it tells how far the work is and hears Ctrl-C.

use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use tomograph::cli::Watch;

use crate::failure;

/// How often the calling thread looks up.
const STEP: Duration = Duration::from_millis(50);
/// How long cancelled work may take to end before the caller goes on without it.
const PATIENCE: Duration = Duration::from_millis(800);
/// Stack of the working thread: what a main thread has.
const STACK_BYTES: usize = 8 << 20;

type Panic = Box<dyn Any + Send>;

/// How far the work is, and whether it shall end.
#[derive(Default)]
pub(crate) struct Progress {
    cancelled: AtomicBool,
    /// Done, of, what; taken when it has been told.
    reached: Mutex<Option<(u64, u64, String)>>,
}

impl Watch for Progress {
    fn reached(&self, done: u64, total: u64, what: &str) {
        *locked(&self.reached) = Some((done, total, what.to_owned()));
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
}

impl Progress {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    fn tell(&self, tell: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(tell) = tell else { return Ok(()) };
        // Taken first, so that the lock is not held while Python runs.
        let reached = locked(&self.reached).take();
        reached.map_or(Ok(()), |reached| tell.call1(reached).map(drop))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work` on another thread, the interpreter free for others. Ctrl-C, or an exception of `tell`, cancels it and is raised within a
/// second: work that has not ended by then winds down behind the caller's back, and what it gives is dropped. Errors are raised as
/// `tomograph.Error`, panics too.
pub(crate) fn supervised<T: Send + 'static>(
    py: Python<'_>,
    tell: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(Arc<dyn Watch>) -> anyhow::Result<T> + Send + 'static,
) -> PyResult<T> {
    let progress = Arc::new(Progress::default());
    let watch: Arc<dyn Watch> = progress.clone();
    let ended = started(move || work(watch))?;
    loop {
        if let Some(outcome) = awaited(py, &ended, STEP)? {
            progress.tell(tell)?;
            return match outcome {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(failure::raised(py, error)),
                Err(panic) => Err(failure::of_panic(py, panic.as_ref())),
            };
        }
        if let Err(interrupt) = py.check_signals().and_then(|()| progress.tell(tell)) {
            progress.cancel();
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until && awaited(py, &ended, STEP)?.is_none() {}
            return Err(interrupt);
        }
    }
}

/// Runs the program on another thread. The first Ctrl-C asks it to end, and it may take its time; the second goes on without it.
pub(crate) fn attended(
    py: Python<'_>,
    progress: &Progress,
    work: impl FnOnce() -> u8 + Send + 'static,
) -> PyResult<u8> {
    let ended = started(work)?;
    loop {
        match awaited(py, &ended, STEP)? {
            Some(Ok(code)) => return Ok(code),
            // The panic has said what it is on stderr.
            Some(Err(_)) => return Ok(101),
            None => {}
        }
        match py.check_signals() {
            Err(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => return Err(error),
            Err(_) if progress.is_cancelled() => return Ok(tomograph::cli::Exit::Interrupted.code()),
            Err(_) => progress.cancel(),
            Ok(()) => {}
        }
    }
}

type Ended<T> = Mutex<Receiver<Result<T, Panic>>>;

fn started<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> PyResult<Ended<T>> {
    let (tell, ended) = channel();
    let run = move || {
        // Nobody may be waiting any more.
        let _ = tell.send(catch_unwind(AssertUnwindSafe(work)));
    };
    let thread = thread::Builder::new().name("tomograph".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(run).map_err(|e| PyRuntimeError::new_err(format!("cannot start a thread: {e}")))?;
    Ok(Mutex::new(ended))
}

/// What the work gave, if it ends within `patience`.
fn awaited<T: Send>(py: Python<'_>, ended: &Ended<T>, patience: Duration) -> PyResult<Option<Result<T, Panic>>> {
    match py.detach(|| locked(ended).recv_timeout(patience)) {
        Ok(outcome) => Ok(Some(outcome)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(PyRuntimeError::new_err("the working thread is gone")),
    }
}

/// Output into memory, shared with the thread that writes it.
#[derive(Clone, Default)]
pub(crate) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::mem::take(&mut *locked(&self.0))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
