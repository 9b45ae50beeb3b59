use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tomo_metrics::Imatrix;
use tomo_plan::Plan;
use tomo_render::escape::plain;

use super::model_args::locate;
use super::{Context, Exit};
use crate::cli::files;
use crate::cli::numbers::{bytes, count, seconds};
use crate::cli::progress::Writing;
use crate::cli::table::Table;
use crate::quantize::{Checked, Importances, Quantization};

/// Write the GGUF file that a plan describes: every tensor as the plan has it, everything else as it was
///
/// MODEL is a GGUF file, best the f16, bf16 or f32 one. Bytes are those that llama-quantize writes for the same types and the same
/// imatrix, and tensors are in its order. The file is read back and held against the plan before it takes its place.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A .gguf file (of a split one, any part), or a hub name: org/name:BF16, org/name/file.gguf
    #[arg(value_name = "MODEL")]
    model: String,

    /// plan.json, or the folder it is in, as `tomograph plan --for llama.cpp` wrote it
    #[arg(value_name = "PLAN")]
    plan: PathBuf,

    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Weigh errors by the inputs that an imatrix has seen, as llama-quantize --imatrix does
    #[arg(long, value_name = "FILE")]
    imatrix: Option<PathBuf>,

    /// Take a plan that was made from another checkpoint, if names and shapes agree
    #[arg(long)]
    force: bool,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,

    /// Print JSON: the file, its bytes and digest, and what was stored as what
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let plan = read_plan(&self.plan)?;
        let importances = match &self.imatrix {
            Some(path) => Some(Importances { path: path.clone(), imatrix: Imatrix::read(path)? }),
            None => None,
        };
        let source = tomo_checkpoint::open(&locate(&self.model, context)?)?;
        for file in source.files() {
            ensure!(
                !files::is_same(file, &self.output),
                "the output is the model itself\n  file: {}\n  hint: give another name",
                self.output.display()
            );
        }
        ensure!(
            !self.output.is_dir(),
            "the output is a folder\n  path: {}\n  hint: give a file",
            self.output.display()
        );
        let quantization = Quantization::new(source, &plan, importances, self.force)?;
        announce(&quantization, &self.output, context)?;
        context.streams.listen();
        let clock = std::time::Instant::now();
        let Some(checked) = self.write(&quantization, context)? else {
            writeln!(context.streams.err, "interrupted: nothing was written")?;
            return Ok(Exit::Interrupted);
        };
        let took = clock.elapsed().as_secs_f64();
        if self.json {
            let json = self.as_json(&quantization, &checked, took);
            writeln!(context.streams.out, "{}", serde_json::to_string_pretty(&json)?)?;
            return Ok(Exit::Success);
        }
        print(&quantization, &mut context.streams.out)?;
        let (file, sizes) = (self.output.display(), size_in_words(&quantization));
        let out = &mut context.streams.out;
        writeln!(out, "{file}: {} bytes, {sizes}; {}", count(checked.bytes), seconds(took))?;
        writeln!(out, "read back: {} tensors, every one of the type that the plan says", quantization.tensors())?;
        writeln!(out, "digest: {}", checked.digest)?;
        Ok(Exit::Success)
    }

    /// Writes the file and reads it back; `None` when interrupted.
    fn write(&self, quantization: &Quantization, context: &Context<'_>) -> anyhow::Result<Option<Checked>> {
        let bar = Writing::new(context.streams);
        let threads = self.threads.map(usize::try_from).transpose()?;
        let mut checked = None;
        let written = files::write_streamed(&self.output, |file| {
            if !quantization.write(BufWriter::new(file.as_file_mut()), threads, &bar)? {
                return Ok(false);
            }
            checked = Some(quantization.check(file.path())?);
            Ok(true)
        });
        bar.clear();
        Ok(if written? { checked } else { None })
    }

    fn as_json(&self, quantization: &Quantization, checked: &Checked, took: f64) -> Value {
        let types: serde_json::Map<String, Value> = quantization
            .totals()
            .into_iter()
            .map(|(name, total)| {
                let entry = json!({
                    "tensors": total.tensors,
                    "copied": total.copied,
                    "weights": total.weights,
                    "bytes": total.bytes,
                });
                (name.to_lowercase(), entry)
            })
            .collect();
        json!({
            "file": self.output.display().to_string(),
            "model": self.model,
            "plan": self.plan.display().to_string(),
            "imatrix": self.imatrix.as_ref().map(|path| path.display().to_string()),
            "bytes": checked.bytes,
            "bytes_without_imatrix_entries": quantization.plain_bytes,
            "planned_bytes": quantization.planned_bytes,
            "digest": checked.digest,
            "file_type": quantization.file_type,
            "tensors": quantization.tensors(),
            "types": types,
            "notes": quantization.notes,
            "seconds": took,
        })
    }
}

/// Reads a plan from its file, or from the folder that `plan` wrote.
fn read_plan(path: &Path) -> anyhow::Result<Plan> {
    let file = if path.is_dir() { path.join("plan.json") } else { path.to_owned() };
    let json = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Plan::from_json(&json).with_context(|| format!("cannot understand {}", file.display()))
}

/// Says what will be written, before it is.
fn announce(quantization: &Quantization, output: &Path, context: &mut Context<'_>) -> anyhow::Result<()> {
    let err = &mut context.streams.err;
    for note in &quantization.notes {
        writeln!(err, "note: {}", plain(note, 400))?;
    }
    let size = quantization.bytes();
    let tensors = quantization.tensors();
    writeln!(err, "writes: {tensors} tensors, {} ({} bytes) to {}", bytes(size), count(size), output.display())?;
    Ok(())
}

fn print(quantization: &Quantization, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut table = Table::new(&["type", "tensors", "as before", "weights", "bytes"]);
    for (name, total) in quantization.totals() {
        let numbers = [total.tensors, total.copied, total.weights, total.bytes].map(count);
        table.row([name.to_lowercase()].into_iter().chain(numbers).collect());
    }
    table.print(100, out)?;
    Ok(())
}

/// How the size is to that of the plan.
fn size_in_words(quantization: &Quantization) -> String {
    let Quantization { planned_bytes, plain_bytes, .. } = *quantization;
    match planned_bytes {
        None => "a size that the plan does not name".to_owned(),
        Some(planned) if planned == quantization.bytes() => "as the plan says".to_owned(),
        Some(planned) if planned == plain_bytes => {
            format!("{} as the plan says, and entries about the imatrix", count(planned))
        }
        Some(planned) => format!("where the plan says {}", count(planned)),
    }
}
