use std::io::Write;
use std::path::PathBuf;

use super::map::{folder_of, summary, write_results};
use super::{Context, Exit};
use crate::cli::output::Look;
use crate::parts::{self, Merged, Part};

/// Put parts of a scan together to the map that one scan would have made
///
/// Parts come from map with --shard, --layers or --cells, made with otherwise the same command line, anywhere. Every cell and every
/// sequence has to be in one part; what is missing or there twice is named.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folders that map wrote, or the part.tomograph files in them
    #[arg(value_name = "PART", required = true)]
    parts: Vec<PathBuf>,

    /// Folder for the map [default: tomograph-<name of the model>]
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Where the checkpoint is, if not where the parts found it; read only where scores take weights and sums over all sequences
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    #[command(flatten)]
    look: Look,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let parts: Vec<Part> = self.parts.iter().map(|path| Part::read(path)).collect::<anyhow::Result<_>>()?;
        let model = self.model.as_deref().map(|name| super::model_args::locate(name, context)).transpose()?;
        let Merged { scanned, notes } = parts::merge(&parts, model.as_deref())?;
        for note in notes {
            writeln!(context.streams.err, "note: {note}")?;
        }
        let map = &scanned.map;
        let out = self.out.unwrap_or_else(|| folder_of(map.provenance.model.as_ref(), ""));
        write_results(&self.look, &scanned, &out)?;
        self.look.print(map, None, context)?;
        summary(map, &out, context)
    }
}
