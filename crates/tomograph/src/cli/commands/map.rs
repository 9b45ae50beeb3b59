use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tomo_map::Map;

use super::model_args::{ModelArgs, open};
use super::run_args::{RunArgs, announce};
use super::{Context, Exit};
use crate::cli::interrupt;
use crate::cli::numbers;
use crate::cli::output::Look;
use crate::cli::progress::Bar;
use crate::scan::{self, Request, Scan};

/// Scan a model and draw its map
///
/// Writes map.json, map.csv, report.html, report.md and one picture per metric to a folder, and prints the map of the
/// first metric asked for. Ctrl-C writes what is known by then, the rest marked as not measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Metrics: ids or families, separated by commas; `all` is all that need no text, `activations` runs the model on a
    /// text; ID@null is relative to random matrices of the same shape, err-…@x weighted by what cells read on the text
    #[arg(long, value_name = "ID|FAMILY,…", default_value = "all")]
    metric: String,

    /// Folder for the results [default: tomograph-<name of the model>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Take what cells read from an imatrix that llama-imatrix or `tomograph imatrix` wrote, instead of running the
    /// model: for input-energy, input-outliers, wanda, owl-outliers and err-…@x
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "token_ids"])]
    imatrix: Option<PathBuf>,

    #[command(flatten)]
    look: Look,

    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let mut request = self.model.request(&self.metric, context)?;
        request.text = self.run.text(request.options.seed)?;
        request.run = self.run.options(request.threads);
        request.imatrix.clone_from(&self.imatrix);
        let folder = self.out.unwrap_or_else(|| default_folder(&request));
        let map = scan_with_progress(&request, Some(&self.run), context)?;
        self.look.write_all(&map, &folder)?;
        self.look.print(&map, None, context)?;
        summary(&map, &folder, context)
    }
}

/// Opens and scans with a bar on stderr; Ctrl-C ends the scan early.
pub(super) fn scan_with_progress(
    request: &Request,
    run: Option<&RunArgs>,
    context: &mut Context<'_>,
) -> anyhow::Result<Map> {
    let scan = Scan::new(Arc::new(open(request)?), request, context.streams.input.as_mut())?;
    if let (Some((pass, plan)), Some(args)) = (scan.pass(), run) {
        args.note(pass, context)?;
        announce(pass, plan, context)?;
    }
    interrupt::listen();
    let bar = Bar::new(context.streams.draw_progress);
    let map = scan.run(&bar);
    bar.clear();
    map
}

/// Says where everything went; the exit code of a scan that was cut short.
pub(super) fn summary(map: &Map, folder: &Path, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let seconds = numbers::seconds(map.provenance.seconds);
    let out = &mut context.streams.out;
    let metrics = if map.columns.len() == 1 { "metric" } else { "metrics" };
    writeln!(out, "\n{} {metrics} of {} cells in {seconds}", map.columns.len(), map.grid.cells.len())?;
    let written = [
        ("report.html", "everything, to point at and click"),
        ("report.md", "in words"),
        ("map.json", "the numbers; tomograph show draws them again"),
    ];
    let width = written.iter().map(|(name, _)| folder.join(name).display().to_string().len()).max().unwrap_or(0);
    for (name, what) in written {
        writeln!(out, "  {:width$}  {what}", folder.join(name).display().to_string())?;
    }
    if map.columns.len() > 1 {
        writeln!(out, "another metric: tomograph show {} --metric ID", folder.display())?;
    }
    if scan::is_partial(&map.columns) {
        writeln!(context.streams.err, "interrupted: what was not reached is marked as not measured")?;
        return Ok(Exit::Interrupted);
    }
    Ok(Exit::Success)
}

/// `tomograph-` and the last part of the model's name, without what only says which format it is in.
fn default_folder(request: &Request) -> PathBuf {
    let name = request.path.canonicalize().unwrap_or_else(|_| request.path.clone());
    let name = name.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    let stem = name.trim_end_matches(".gguf").trim_end_matches(".safetensors");
    PathBuf::from(format!("tomograph-{stem}"))
}
