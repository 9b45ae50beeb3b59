use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use tomo_metrics::{Imatrix, ImatrixFormat, ImatrixObserver, ImatrixStatistics};
use tomo_model::engine::Until;
use tomo_render::escape::plain;

use super::model_args::{ModelArgs, open};
use super::run_args::{RunArgs, announce};
use super::{Context, Exit};
use crate::cli::files;
use crate::cli::numbers::{count, seconds};
use crate::cli::progress::Bar;

/// Write an importance matrix for llama-quantize: how large the inputs of every tensor are on a text
///
/// The file is what `llama-quantize --imatrix` reads. Tokens are counted the way llama-imatrix counts them: every
/// position of every window. Its windows follow each other without a choice, ours are spread over the text.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// File to write
    #[arg(short, long, value_name = "FILE", required_unless_present = "show_statistics")]
    output: Option<PathBuf>,

    /// Format of the file [default: legacy for .dat, else gguf]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Collect the inputs of the output head too
    #[arg(long)]
    process_output: bool,

    /// Print statistics by tensor and by layer; with -o of the file that was written, without it MODEL is an imatrix
    #[arg(long)]
    show_statistics: bool,

    #[command(flatten)]
    run: RunArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Gguf,
    Legacy,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let Some(output) = self.output.clone() else {
            let imatrix = Imatrix::read(Path::new(self.model.name()))?;
            return print(&imatrix.statistics(), &mut context.streams.out).map(|()| Exit::Success);
        };
        let Some(imatrix) = self.collect(context)? else { return Ok(Exit::Interrupted) };
        let mut bytes = Vec::new();
        imatrix.write(self.format_of(&output), &mut bytes)?;
        files::write_whole(&output, &bytes).with_context(|| format!("cannot write {}", output.display()))?;
        let out = &mut context.streams.out;
        writeln!(
            out,
            "{}: {} tensors, {} chunks of {} tokens",
            output.display(),
            imatrix.entries.len(),
            imatrix.chunk_count,
            imatrix.chunk_size
        )?;
        writeln!(out, "use: llama-quantize --imatrix {} MODEL.gguf OUT.gguf TYPE", output.display())?;
        if self.show_statistics {
            print(&imatrix.statistics(), out)?;
        }
        Ok(Exit::Success)
    }

    /// Runs the model; `None` when interrupted.
    fn collect(&self, context: &mut Context<'_>) -> anyhow::Result<Option<Imatrix>> {
        let request = self.model.request("rms", context)?;
        let model = Arc::new(open(&request)?);
        let run = self.run.prepare(&model, request.options.seed, request.threads, context)?;
        let observer = ImatrixObserver::new(&model, &run.lengths(), self.process_output, false);
        ensure!(
            observer.unnamed() < model.cells().len(),
            "no tensor of this model has a name in GGUF: cells named by --cell are not in an imatrix"
        );
        let plan = run.plan(&[&observer], observer.memory_bytes(), Until::LastBlock)?;
        announce(&run, &plan, context)?;
        context.streams.listen();
        let clock = std::time::Instant::now();
        let bar = Bar::new(context.streams);
        let outcome = run.forward(&[&observer], &plan, Until::LastBlock, &bar);
        bar.clear();
        if !outcome?.completed {
            writeln!(context.streams.err, "interrupted: nothing was written")?;
            return Ok(None);
        }
        let tokens = count(run.windows.tokens());
        writeln!(context.streams.err, "{tokens} tokens in {}", seconds(clock.elapsed().as_secs_f64()))?;
        let longest = u32::try_from(run.windows.longest())?;
        Ok(Some(observer.finish(vec![run.windows.description.clone()], longest)))
    }

    fn format_of(&self, output: &Path) -> ImatrixFormat {
        match self.format {
            Some(Format::Gguf) => ImatrixFormat::Gguf,
            Some(Format::Legacy) => ImatrixFormat::Legacy,
            None if output.extension().is_some_and(|e| e == "dat") => ImatrixFormat::Legacy,
            None => ImatrixFormat::Gguf,
        }
    }
}

/// The tables of `llama-imatrix --show-statistics`, of the generation that [`Imatrix::statistics`] names.
fn print(statistics: &ImatrixStatistics, out: &mut dyn Write) -> anyhow::Result<()> {
    tensors(statistics, out)?;
    writeln!(out, "\nlayer  mean sum(act^2)      ZD %   cos sim   (means over tensors, weighted by N)")?;
    for layer in &statistics.layers {
        writeln!(out, "{:>5} {:>16.2} {:>9.2} {:>9.4}", layer.layer, layer.total, layer.far * 100.0, layer.cosine)?;
    }
    Ok(())
}

fn tensors(statistics: &ImatrixStatistics, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:28} {:>12} {:>10} {:>11} {:>10} {:>10} {:>8} {:>6} {:>8} {:>8} {:>7} {:>8}",
        "tensor", "sum(act^2)", "min", "max", "mean", "sd", "active %", "N", "entropy", "of max %", "ZD %", "cos sim"
    )?;
    for t in &statistics.tensors {
        writeln!(
            out,
            "{:28} {:>12.2} {:>10.4} {:>11.4} {:>10.4} {:>10.4} {:>8.2} {:>6} {:>8.4} {:>8.2} {:>7.2} {:>8.4}",
            plain(&t.name, 28),
            t.total,
            t.min,
            t.max,
            t.mean,
            t.sd,
            t.active * 100.0,
            t.elements,
            t.entropy,
            t.entropy_relative * 100.0,
            t.far * 100.0,
            t.cosine
        )?;
    }
    Ok(())
}
