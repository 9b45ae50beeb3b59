//! The command line: parse, run a command, say what went wrong. Nothing else in the workspace prints or ends the process.

mod agreement_table;
mod commands;
pub mod embed;
mod exit;
mod files;
mod interrupt;
mod numbers;
mod output;
mod progress;
mod proof_table;
mod streams;
mod table;
mod topics;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};

use clap::{CommandFactory, Parser};
use tomo_checkpoint::store::{Account, take_accounts};
use tomo_render::ColourLevel;

pub use exit::Exit;
pub use streams::{Streams, Watch};

use commands::Command;

/// Shows which parts of a language model carry its value: scores every projection of every layer, draws the
/// layer x component map, and says what the numbers can and cannot tell.
#[derive(Parser)]
#[command(
    name = "tomograph",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 failed (stderr says why), 2 wrong command line, 130 interrupted;\n\
                  verify: 0 the plan helps, 3 no difference, 4 it hurts.\n\
                  Start with: tomograph demo"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What a command needs beside its own arguments.
struct Context<'a> {
    streams: &'a mut Streams,
    /// The command line as typed, for provenance.
    typed: String,
}

/// Runs the command line `args` (with the program's name first) and returns how it ended. Never exits the process, so
/// that it can be called from a test or from another language.
pub fn run_from<I>(args: I, streams: &mut Streams) -> Exit
where
    I: IntoIterator<Item = OsString>,
{
    let args: Vec<OsString> = args.into_iter().collect();
    let exit = match Cli::try_parse_from(&args) {
        Ok(cli) => {
            let typed = streams::command_as_typed(&args);
            let result = cli.command.run(&mut Context { streams: &mut *streams, typed });
            let exit = result.unwrap_or_else(|error| report(&error, streams));
            say_what_was_fetched(streams);
            exit
        }
        Err(error) => usage(&error, streams),
    };
    match streams.out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => report(&error.into(), streams),
        _ => exit,
    }
}

/// Says what was fetched from stores: somebody pays for it.
fn say_what_was_fetched(streams: &mut Streams) {
    for Account { address, fetched } in take_accounts().into_iter().filter(|account| account.fetched.requests > 0) {
        let (bytes, requests) = (numbers::bytes(fetched.bytes), numbers::count(fetched.requests));
        let requests = if fetched.requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") };
        let address = tomo_render::escape::plain(&address, 200);
        // A closed stream leaves nobody to tell.
        let _ = writeln!(streams.err, "note: {bytes} fetched from {address} in {requests}");
    }
}

/// The whole command tree, for completions and the man page.
fn command_tree() -> clap::Command {
    Cli::command()
}

/// Help and version go to stdout and succeed; a wrong command line goes to stderr.
fn usage(error: &clap::Error, streams: &mut Streams) -> Exit {
    let colored = streams.terminal.colours != ColourLevel::None;
    let rendered = error.render();
    let text = if colored { rendered.ansi().to_string() } else { rendered.to_string() };
    let (stream, exit) =
        if error.use_stderr() { (&mut streams.err, Exit::Usage) } else { (&mut streams.out, Exit::Success) };
    // A closed stream leaves nobody to tell.
    let _ = stream.write_all(text.as_bytes());
    exit
}

/// One place where errors reach the user. A reader that went away (`| head`) is not an error.
fn report(error: &anyhow::Error, streams: &mut Streams) -> Exit {
    let broken_pipe = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return Exit::Success;
    }
    let _ = writeln!(streams.err, "error: {}", said(error));
    Exit::Failure
}

/// The error and its causes, a line each.
fn said(error: &anyhow::Error) -> String {
    let mut all = error.to_string();
    let mut said = all.clone();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some errors name their cause themselves.
        if !said.contains(&cause) {
            all.push_str(&format!("\n  because: {cause}"));
            said = cause;
        }
    }
    all
}
