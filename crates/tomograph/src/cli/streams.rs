use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;

use supports_color::Stream;
use tomo_render::{ColourLevel, Terminal};

/// Where a run writes and what that place can show. The command line touches no other output, so that it can run inside
/// another process (a test, Python) and be read.
pub struct Streams {
    /// What `-` reads.
    pub input: Box<dyn Read>,
    /// Results.
    pub out: Box<dyn Write>,
    /// Progress, warnings, errors.
    pub err: Box<dyn Write>,
    /// What `out` can show.
    pub terminal: Terminal,
    /// Whether a person reads `out`, so that bytes that are no text stay away from it.
    pub out_is_terminal: bool,
    /// Whether progress is drawn on the process's stderr.
    pub draw_progress: bool,
    /// Who is told how far a run is, and asked whether it shall end. Where there is nobody, Ctrl-C ends it.
    pub watch: Option<Arc<dyn Watch>>,
}

/// Watches a run from inside another process (a test, Python), and may end it.
pub trait Watch: Send + Sync {
    /// `done` of `total` bytes or steps (0 where it is not known) are done; `what` names a cell, a layer, a file. Called from
    /// worker threads; a run has several parts, and each begins at 0.
    fn reached(&self, done: u64, total: u64, what: &str);

    /// Whether the run shall end.
    fn is_cancelled(&self) -> bool;
}

impl Streams {
    /// From now on Ctrl-C asks what runs to stop and leave what it has, unless somebody else watches.
    pub(super) fn listen(&self) {
        if self.watch.is_none() {
            super::interrupt::listen();
        }
    }

    /// The process's own stdout and stderr.
    pub fn of_process() -> Self {
        Self {
            input: Box::new(io::stdin()),
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            terminal: terminal_of_stdout(),
            out_is_terminal: io::stdout().is_terminal(),
            draw_progress: io::stderr().is_terminal(),
            watch: None,
        }
    }
}

fn terminal_of_stdout() -> Terminal {
    // COLUMNS lets a user narrow a pipe too.
    let typed = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let measured = terminal_size::terminal_size_of(io::stdout()).map(|(w, _)| usize::from(w.0));
    Terminal { width: measured.or(typed).unwrap_or(80), colours: colours_of(supports_color::on(Stream::Stdout)) }
}

fn colours_of(support: Option<supports_color::ColorLevel>) -> ColourLevel {
    match support {
        Some(level) if level.has_16m => ColourLevel::True,
        Some(level) if level.has_256 => ColourLevel::Ansi256,
        _ => ColourLevel::None,
    }
}

/// Command line as typed, for provenance: words with odd characters are quoted, and addresses say no secrets.
pub(super) fn command_as_typed(args: &[OsString]) -> String {
    let quote = |word: &OsString| {
        let word = tomo_checkpoint::store::without_secrets(&word.to_string_lossy());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c);
        if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    let program = std::iter::once("tomograph".to_owned());
    program.chain(args.iter().skip(1).map(quote)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_written_as_typed_but_for_secrets() {
        let args = [
            "/usr/bin/tomograph",
            "map",
            "https://me:pass@host/m.gguf?sig=1",
            "--against",
            "s3://b/x?y",
            "--out",
            "a b",
        ];
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        assert_eq!(command_as_typed(&args), "tomograph map https://host/m.gguf --against 's3://b/x?y' --out 'a b'");
    }
}
