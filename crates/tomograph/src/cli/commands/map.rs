use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tomo_map::{Map, Measurement};
use tomo_metrics::{Measured, OwnMetric};
use tomo_render::escape::plain;
use tomo_render::report::is_unchanged;

use super::map_args::{ComparisonArgs, GradientArgs, InterventionArgs, PartArgs, RayArgs};
use super::model_args::{ModelArgs, open};
use super::run_args::{RunArgs, announce_scan};
use super::{Context, Exit};
use crate::AdapterScan;
use crate::cli::embed::Kept;
use crate::cli::output::Look;
use crate::cli::progress::Bar;
use crate::cli::{files, numbers};
use crate::draws_file;
use crate::measured_file;
use crate::parts::{Cut, PART_FILE, Part};
use crate::scan::{self, Foreseen, Request, Scan, Scanned};

/// Scan a model, or what an adapter changes, and draw the map
///
/// Writes map.json, map.csv, report.html, report.md and one picture per metric to a folder, and prints the map of the
/// first metric asked for. Ctrl-C writes what is known by then, the rest marked as not measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Metrics: ids or families, separated by commas; `all` is all that need the weights alone, `delta` compares them with
    /// --against, `activations` runs the model on a text, `gradients` runs it forward and backward, `causal` with one cell
    /// changed, for every cell; ID@null is relative to random matrices of the same shape, err-…@x weighted by what cells read
    /// on the text [default: all; delta with --against]
    #[arg(long, value_name = "ID|FAMILY,…")]
    metric: Option<String>,

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
    comparison: ComparisonArgs,

    #[command(flatten)]
    run: RunArgs,

    #[command(flatten)]
    gradients: GradientArgs,

    #[command(flatten)]
    interventions: InterventionArgs,

    #[command(flatten)]
    part: PartArgs,

    #[command(flatten)]
    cluster: RayArgs,
}

impl Args {
    /// The scan that is asked for, and the folder for its results. Fetches what is not here yet.
    ///
    /// # Errors
    /// A metric that is not known, a model that cannot be found or fetched.
    pub(crate) fn request(&self, context: &mut Context<'_>) -> anyhow::Result<(Request, PathBuf)> {
        let metrics = self.metric.as_deref().unwrap_or(if self.comparison.against.is_some() { "delta" } else { "all" });
        let mut request = self.model.request(metrics, context)?;
        self.comparison.apply(&mut request, context)?;
        if self.metric.is_none() && tomo_checkpoint::open_adapter(&request.path)?.is_some() {
            request = request.metrics("delta")?;
        }
        if let Some(note) = companions_note(&request) {
            writeln!(context.streams.err, "note: {note}")?;
        }
        request.text = self.run.text(request.options.seed)?;
        request.run = self.run.options(request.threads);
        request.imatrix.clone_from(&self.imatrix);
        request.cut = self.part.cut();
        let folder = self.out.clone().unwrap_or_else(|| default_folder(&request));
        self.gradients.apply(&mut request, &folder)?;
        self.interventions.apply(&mut request, &folder)?;
        Ok((request, folder))
    }

    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        ensure!(
            self.part.ray.is_none(),
            "Ray is reached from Python\n  expected: the program of the Python package\n  found: the one that is built without Python\n  hint: \
             pip install 'tomograph[ray]', and call its tomograph; or make the parts by hand: --shard and tomograph merge"
        );
        let (request, folder) = self.request(context)?;
        let mut scanned = scan_with_progress(&request, Some(&self.run), context)?;
        let part = scanned.part.take();
        if let (Some(Cut::Shard(_)), Some(part)) = (&request.cut, &part) {
            write_part(part, &folder, context)?;
            sweep_up(&request, &scanned.spent);
            return Ok(Exit::Success);
        }
        if matches!(request.cut, Some(Cut::Shard(_))) {
            writeln!(context.streams.err, "interrupted: a part is written whole or not at all")?;
            return Ok(Exit::Interrupted);
        }
        let exit = self.leave(&request, scanned, &folder, context)?;
        if let Some(part) = &part {
            write_part(part, &folder, context)?;
        }
        Ok(exit)
    }

    /// Prepares what is asked for and says what it will take.
    pub(in crate::cli) fn foresee(&self, context: &mut Context<'_>) -> anyhow::Result<Foreseen> {
        let (request, _) = self.request(context)?;
        let scan = Scan::new(Arc::new(open(&request)?), &request, context.streams.input.as_mut())?;
        scan.foresee()
    }

    /// Makes the map for a program that embeds us, with metrics of its own beside those asked for; instead of those, where none was asked
    /// for. Leaves nothing on disk where no folder is named.
    pub(in crate::cli) fn scan(&self, own: Vec<Arc<OwnMetric>>, context: &mut Context<'_>) -> anyhow::Result<Scanned> {
        let (mut request, folder) = self.request(context)?;
        if self.metric.is_none() && !own.is_empty() {
            request.metrics.clear();
        }
        request.own = own;
        if self.out.is_none() && request.resume.is_none() {
            request.keep = None;
        }
        let scanned = scan_with_progress(&request, Some(&self.run), context)?;
        if self.out.is_some() {
            self.write(&request, &scanned, &folder)?;
            if let Some(part) = &scanned.part {
                write_part(part, &folder, context)?;
            }
        }
        Ok(scanned)
    }

    /// Writes the results to `folder`, and removes what was kept to make them.
    fn write(&self, request: &Request, scanned: &Scanned, folder: &Path) -> anyhow::Result<()> {
        write_results(&self.look, scanned, folder)?;
        sweep_up(request, &scanned.spent);
        Ok(())
    }

    /// Writes the results to `folder`, and says what there is.
    fn leave(
        &self,
        request: &Request,
        scanned: Scanned,
        folder: &Path,
        context: &mut Context<'_>,
    ) -> anyhow::Result<Exit> {
        self.write(request, &scanned, folder)?;
        let Scanned { map, draws, measured, ended_early, .. } = scanned;
        self.look.print(&map, None, context)?;
        let exit = summary(&map, folder, context)?;
        if !draws.is_empty() {
            let path = folder.join(Kept::DRAWS_JSON).display().to_string();
            writeln!(context.streams.out, "what every draw said of every cell: {path}")?;
        }
        report_measurements(&measured, &map, folder, context)?;
        if exit == Exit::Interrupted && request.resume.is_some() {
            writeln!(context.streams.err, "the same command goes on where the reverse pass was")?;
        }
        if ended_early {
            writeln!(context.streams.err, "interrupted: the same command goes on from what was measured")?;
            return Ok(Exit::Interrupted);
        }
        Ok(exit)
    }
}

/// Writes a map to a folder, with all that goes beside it.
pub(super) fn write_results(look: &Look, scanned: &Scanned, folder: &Path) -> anyhow::Result<()> {
    look.write_all(&scanned.map, folder, "map")?;
    for (name, content) in kept_files(scanned)? {
        files::write_whole(&folder.join(name), &content)?;
    }
    Ok(())
}

/// Removes what only served to go on from, when the results are safe.
fn sweep_up(request: &Request, spent: &[PathBuf]) {
    for done in spent {
        // Only space is at stake: the results are written.
        let _ = std::fs::remove_dir_all(done);
    }
    if let Some(resume) = &request.keep {
        // Stays where a pass is not over, or where something else is in it.
        let _ = std::fs::remove_dir(resume);
    }
}

/// Writes a part of a scan to its folder.
fn write_part(part: &Part, folder: &Path, context: &mut Context<'_>) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(PART_FILE);
    files::write_whole(&path, &part.to_bytes()?)?;
    writeln!(
        context.streams.out,
        "part {}: {}\n  put parts together with: tomograph merge PART… -o MAP",
        part.cut(),
        path.display()
    )?;
    Ok(())
}

/// Says which metrics come along that were not asked for.
fn companions_note(request: &Request) -> Option<String> {
    let whole = tomo_metrics::with_companions(request.metrics.clone());
    let added: Vec<String> =
        whole.iter().filter(|s| !request.metrics.contains(s)).map(tomo_metrics::Selected::id).collect();
    (!added.is_empty())
        .then(|| format!("{} come with delta-relative, which mere rescaling can make large", added.join(" and ")))
}

/// What is kept beside a map: what was drawn (sets and pairs of cells follow from it), and what every change did to every sequence.
pub(in crate::cli) fn kept_files(scanned: &Scanned) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let Scanned { map, draws, measured, .. } = scanned;
    let of = &map.provenance;
    let text_digest = of.text_digest.as_deref().unwrap_or_default();
    let mut files = Vec::new();
    let (mut json, mut csv) = (Vec::new(), Vec::new());
    if !draws.is_empty() {
        draws_file::write_json(draws, of.seed, &of.model_digest, text_digest, &mut json)?;
        draws_file::write_csv(draws, &mut csv)?;
        files.extend([(Kept::DRAWS_JSON, std::mem::take(&mut json)), ("draws.csv", std::mem::take(&mut csv))]);
    }
    if !measured.is_empty() {
        measured_file::write_json(measured, of.seed, &of.model_digest, text_digest, &mut json)?;
        measured_file::write_csv(measured, &mut csv)?;
        files.extend([(Kept::MEASURED_JSON, json), ("measured.csv", csv)]);
    }
    Ok(files)
}

/// Says how often cells were measured and how far the map agrees with itself.
fn report_measurements(
    measured: &[Measured],
    map: &Map,
    folder: &Path,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let out = &mut context.streams.out;
    for column in &map.columns {
        for note in column.measurement.iter().flat_map(Measurement::notes) {
            writeln!(out, "{}: {note}", plain(&column.info.id, 60))?;
        }
    }
    if !measured.is_empty() {
        writeln!(out, "what every sequence said of every cell: {}", folder.join(Kept::MEASURED_JSON).display())?;
    }
    Ok(())
}

/// Opens and scans with a bar on stderr; Ctrl-C ends the scan early.
pub(super) fn scan_with_progress(
    request: &Request,
    run: Option<&RunArgs>,
    context: &mut Context<'_>,
) -> anyhow::Result<Scanned> {
    if let Some(files) = tomo_checkpoint::open_adapter(&request.path)? {
        ensure!(
            request.cut.is_none(),
            "an adapter is scanned whole: it takes seconds\n  hint: leave --shard, --layers and --cells out"
        );
        let scan = AdapterScan::new(&files, request)?;
        write_notes(scan.notes(), context)?;
        return watched(context, |bar| scan.run(bar));
    }
    let scan = Scan::new(Arc::new(open(request)?), request, context.streams.input.as_mut())?;
    if let (Some(text), Some(args)) = (scan.text(), run) {
        args.note(text, context)?;
        announce_scan(&scan, text, context)?;
    }
    write_notes(scan.notes(), context)?;
    for line in scan.part_in_words() {
        writeln!(context.streams.err, "{line}")?;
    }
    watched(context, |bar| scan.run(bar))
}

/// Says what there is to know before a scan.
fn write_notes(notes: &[String], context: &mut Context<'_>) -> anyhow::Result<()> {
    for note in notes {
        writeln!(context.streams.err, "note: {}", plain(note, 400))?;
    }
    Ok(())
}

/// Scans with a bar.
fn watched(context: &mut Context<'_>, scan: impl FnOnce(&Bar) -> anyhow::Result<Scanned>) -> anyhow::Result<Scanned> {
    context.streams.listen();
    let bar = Bar::new(context.streams);
    let scanned = scan(&bar);
    bar.clear();
    scanned
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
    if is_unchanged(map) {
        writeln!(out, "identical: no weight of any cell that was compared differs")?;
    }
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
    let path = request.path.canonicalize().unwrap_or_else(|_| request.path.clone());
    let part = match &request.cut {
        None => String::new(),
        Some(Cut::Cells(selection)) => format!("-{}", selection.to_string().replace(',', "+")),
        Some(Cut::Shard(shard)) => format!("-part-{}-of-{}", shard.number(), shard.of()),
    };
    folder_of(&path, &part)
}

/// The folder for results of the model at `path`.
pub(super) fn folder_of(path: &Path, more: &str) -> PathBuf {
    let name = PathBuf::from(tomo_checkpoint::store::without_secrets(&path.to_string_lossy()));
    let name = name.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    let stem = name.trim_end_matches(".gguf").trim_end_matches(".safetensors");
    PathBuf::from(format!("tomograph-{stem}{more}"))
}
