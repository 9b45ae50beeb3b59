//! The command line inside another program (Python): commands take the same words and mean the same, but results come back as values and
//! errors typed. Nothing here prints or ends the process.

mod failure;
mod kept;
mod options;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;

use anyhow::bail;
use clap::Parser;
use serde_json::{Value, json};
use tomo_map::Map;
use tomo_metrics::OwnMetric;
use tomo_render::{Format, Scene, Terminal};

use super::commands::Command;
use super::output::Look;
use super::{Cli, Context, Exit, Streams, streams, topics};
use crate::parts::{Merged, Part};
use crate::scan::Foreseen;

pub use failure::Failure;
pub use kept::Kept;
pub use options::options;

/// Runs a command line (with the program's name first), as [`run_from`](super::run_from) does, but leaves errors to the caller. Help and
/// version go to the streams' output.
///
/// # Errors
/// Whatever the command refuses; a wrong command line as [`clap::Error`]. [`Failure::of`] says what is known of an error.
pub fn try_run_from<I>(args: I, streams: &mut Streams) -> anyhow::Result<Exit>
where
    I: IntoIterator<Item = OsString>,
{
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return Err(error.into()),
        Err(error) => return Ok(super::usage(&error, streams)),
    };
    let typed = streams::command_as_typed(&args);
    let exit = cli.command.run(&mut Context { streams: &mut *streams, typed })?;
    streams.out.flush()?;
    Ok(exit)
}

/// Makes the map that a command line `tomograph map …` asks for, with metrics of the caller's beside those of the registry (where `own`
/// names some and the command line none, with those alone). Where the command line names no folder, nothing is left on disk.
///
/// # Errors
/// As [`try_run_from`]; another command than `map`; an id in `own` that is taken.
pub fn scan<I>(args: I, own: Vec<Arc<OwnMetric>>, streams: &mut Streams) -> anyhow::Result<Kept>
where
    I: IntoIterator<Item = OsString>,
{
    let (map, typed) = map_command(args)?;
    for (at, metric) in own.iter().enumerate() {
        let id = &metric.info.id;
        if tomo_metrics::select(id).is_ok() || own[..at].iter().any(|other| other.info.id == *id) {
            bail!("a metric is called {id:?} already\n  hint: give yours another id");
        }
    }
    let scanned = map.scan(own, &mut Context { streams, typed })?;
    Kept::of(scanned)
}

/// What a command line `tomograph map …` asks for, and the command line as it goes into the provenance.
fn map_command<I>(args: I) -> anyhow::Result<(super::commands::MapArgs, String)>
where
    I: IntoIterator<Item = OsString>,
{
    let args: Vec<OsString> = args.into_iter().collect();
    let Command::Map(map) = Cli::try_parse_from(&args)?.command else { bail!("a scan is asked for by: tomograph map") };
    Ok((map, streams::command_as_typed(&args)))
}

/// What the scan that a command line `tomograph map …` asks for will take: it is prepared, and not made.
///
/// # Errors
/// As [`try_run_from`]; another command than `map`.
pub fn foresee<I>(args: I, streams: &mut Streams) -> anyhow::Result<Foreseen>
where
    I: IntoIterator<Item = OsString>,
{
    let (map, typed) = map_command(args)?;
    map.foresee(&mut Context { streams, typed })
}

/// Puts parts together; `model` says where the checkpoint is, by any name a command takes, if it is not where the parts found it.
///
/// # Errors
/// As [`crate::parts::merge`].
pub fn merge(parts: &[Part], model: Option<&str>, streams: &mut Streams) -> anyhow::Result<Kept> {
    let typed = String::new();
    let model = model.map(|name| super::commands::locate(name, &mut Context { streams, typed })).transpose()?;
    let Merged { scanned, notes } = crate::parts::merge(parts, model.as_deref())?;
    for note in notes {
        writeln!(streams.err, "note: {note}")?;
    }
    Kept::of(scanned)
}

/// A part of the command line by itself: how pictures look.
#[derive(Parser)]
#[command(name = "look", no_binary_name = true)]
struct LookOnly {
    #[command(flatten)]
    look: Look,
}

/// Draws `map` in the format called `format`: the metric where it is a picture (the first where `None`), everything where it is a document.
/// `look` are the words of `tomograph show` that say how pictures look.
///
/// # Errors
/// A format, a metric or a word that does not exist; a normalisation that does not fit.
pub fn draw<I>(map: &Map, metric: Option<&str>, format: &str, look: I) -> anyhow::Result<Vec<u8>>
where
    I: IntoIterator<Item = OsString>,
{
    let LookOnly { look } = LookOnly::try_parse_from(look)?;
    look.draw(map, metric, Format::from_id(format)?, Terminal::default())
}

/// The picture that [`draw`] would draw, with everything decided, for whoever draws it with other means.
///
/// # Errors
/// As [`draw`].
pub fn scene<I>(map: &Map, metric: Option<&str>, look: I) -> anyhow::Result<Scene>
where
    I: IntoIterator<Item = OsString>,
{
    LookOnly::try_parse_from(look)?.look.scene(map, metric)
}

/// Every entry of every registry: `{"kind", "id", "summary", …}`, and the components.
pub fn registries() -> Vec<Value> {
    let components =
        tomo_map::Component::ALL.map(|c| json!({ "kind": "component", "id": c.id(), "summary": c.label() }));
    let entry = |topic: topics::Topic| {
        let mut row = json!({ "kind": topic.kind, "id": topic.id, "summary": topic.summary });
        if let (Some(row), Value::Object(details)) = (row.as_object_mut(), topic.details) {
            // What an entry is comes from the registry; its details name other things.
            for (name, value) in details {
                row.entry(name).or_insert(value);
            }
        }
        row
    };
    components.into_iter().chain(topics::all().into_iter().map(entry)).collect()
}
