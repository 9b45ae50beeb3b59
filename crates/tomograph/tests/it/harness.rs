//! Runs the command line in this process, with its output in memory.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use tomograph::cli::{Exit, Streams, run_from};
use tomograph::render::Terminal;

/// How a run ended and what it wrote.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// Panics with everything the run wrote unless it ended as `expected`.
    #[track_caller]
    pub(crate) fn ended(self, expected: Exit) -> Self {
        assert_eq!(self.exit, expected, "\n-- stdout\n{}\n-- stderr\n{}", self.out, self.err);
        self
    }

    /// The stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("stdout is not JSON ({e}):\n{}", self.out))
    }
}

#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("output is UTF-8")
    }
}

/// Runs `tomograph ARGS` on a plain 80-column pipe.
pub(crate) fn run<S: Into<OsString>>(args: impl IntoIterator<Item = S>) -> Outcome {
    run_on(Terminal::default(), args)
}

/// Runs `tomograph ARGS` on the given terminal.
pub(crate) fn run_on<S: Into<OsString>>(terminal: Terminal, args: impl IntoIterator<Item = S>) -> Outcome {
    let (out, err) = (Buffer::default(), Buffer::default());
    let mut streams = Streams {
        input: Box::new(io::empty()),
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        terminal,
        out_is_terminal: false,
        draw_progress: false,
        watch: None,
    };
    let args = std::iter::once(OsString::from("tomograph")).chain(args.into_iter().map(Into::into));
    let exit = run_from(args, &mut streams);
    Outcome { exit, out: out.text(), err: err.text() }
}

/// A phantom model, made once for all tests.
pub(crate) fn phantom() -> &'static Path {
    static PHANTOM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    &PHANTOM
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let model = folder.path().join("phantom");
            std::fs::create_dir(&model).expect("a folder");
            tomo_phantom::write(&model, 0).expect("the phantom");
            (folder, model)
        })
        .1
}
