use std::path::PathBuf;

use anyhow::bail;
use tomo_render::Format;

use super::{Context, Exit};
use crate::cli::files::{self, read_map};
use crate::cli::output::Look;

/// Draw a map again: another metric, another normalisation, another format
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A map.json (or a diff.json), or the folder that holds it
    #[arg(value_name = "MAP")]
    map: PathBuf,

    /// The metric to draw [default: the first of the map]
    #[arg(long, value_name = "ID")]
    metric: Option<String>,

    /// Output format (see: list formats) [default: by the extension of the file, else the terminal's]
    #[arg(long, value_name = "ID")]
    format: Option<String>,

    /// Write to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    look: Look,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let format = match (&self.format, &self.output) {
            (Some(id), _) => Format::from_id(id)?,
            (None, Some(path)) => Format::from_path(path)?,
            (None, None) => Format::from_id("ansi")?,
        };
        let map = read_map(&self.map)?;
        let drawn = self.look.draw(&map, self.metric.as_deref(), format, context.streams.terminal)?;
        match &self.output {
            Some(path) => files::write_whole(path, &drawn)?,
            None if context.streams.out_is_terminal && std::str::from_utf8(&drawn).is_err() => {
                bail!("{} is not text: name a file with -o, or send it through a pipe", format.id)
            }
            None => context.streams.out.write_all(&drawn)?,
        }
        Ok(Exit::Success)
    }
}
