use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bytesize::ByteSize;
use tomo_metrics::{CausalPlan, Found};
use tomo_model::Model;
use tomo_model::engine::MemoryPlan;
use tomo_render::escape::plain;

use super::Context;
use crate::cli::files;
use crate::cli::numbers::{bytes, count};
use crate::reverse::PlannedPass;
use crate::run::{Run, RunOptions, TextRequest};
use crate::scan::Scan;

/// On which text a model is run, and by what means; the same words on every command that runs one.
#[derive(clap::Args)]
#[command(next_help_heading = "Text")]
pub(crate) struct RunArgs {
    /// Files of plain text, or of JSON lines (.jsonl); - is standard input [default: a bundled sample of 66 kB]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    text: Vec<PathBuf>,

    /// The key that holds the text in JSON lines [default: text]
    #[arg(long, value_name = "KEY")]
    field: Option<String>,

    /// Tokens to run, in windows spread over the text
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(2..))]
    tokens: u32,

    /// Tokens per window
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..))]
    sequence: u32,

    /// Run exactly these tokens: a JSON array of arrays, as --save-token-ids writes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "field"])]
    token_ids: Option<PathBuf>,

    /// Write the tokens that were run
    #[arg(long, value_name = "FILE")]
    save_token_ids: Option<PathBuf>,

    /// A tokenizer.json instead of the model's own tokenizer
    #[arg(long, value_name = "FILE", conflicts_with = "token_ids")]
    tokenizer: Option<PathBuf>,

    /// Memory a pass may take, e.g. 900MB, 4GiB; weights that do not fit are streamed block by block [default: 60 % of
    /// what is free]
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,

    /// Declare a key of the model's config harmless that is not known to be; may be repeated
    #[arg(long = "ignore-config-key", value_name = "KEY")]
    ignored_config_keys: Vec<String>,
}

impl RunArgs {
    /// Whether a text was named: a file, or exact tokens.
    pub(super) fn names_text(&self) -> bool {
        !self.text.is_empty() || self.token_ids.is_some()
    }

    /// The text that is asked for.
    pub(super) fn text(&self, seed: u64) -> anyhow::Result<TextRequest> {
        Ok(TextRequest {
            files: self.text.clone(),
            field: self.field.clone(),
            tokens: usize::try_from(self.tokens)?,
            sequence: usize::try_from(self.sequence)?,
            seed,
            token_ids: self.token_ids.clone(),
            tokenizer: self.tokenizer.clone(),
            answers: None,
            loss: None,
        })
    }

    /// The means that are asked for.
    pub(super) fn options(&self, threads: Option<usize>) -> RunOptions {
        RunOptions {
            threads,
            memory_bytes: self.memory.map(|m| m.as_u64()),
            ignored_config_keys: self.ignored_config_keys.clone(),
        }
    }

    /// Everything before the pass; says which text it will be, and writes its tokens where that was asked for.
    pub(super) fn prepare(
        &self,
        model: &Arc<Model>,
        seed: u64,
        threads: Option<usize>,
        context: &mut Context<'_>,
    ) -> anyhow::Result<Run> {
        let run = Run::new(model, &self.text(seed)?, &self.options(threads), context.streams.input.as_mut())?;
        self.note(&run, context)?;
        Ok(run)
    }

    /// Writes the tokens where that was asked for, and says what is worth knowing about them.
    pub(super) fn note(&self, run: &Run, context: &mut Context<'_>) -> anyhow::Result<()> {
        if let Some(path) = &self.save_token_ids {
            let mut json = Vec::new();
            run.windows.write_json(&mut json)?;
            files::write_whole(path, &json).with_context(|| format!("cannot write {}", path.display()))?;
        }
        for note in &run.windows.notes {
            writeln!(context.streams.err, "note: {note}")?;
        }
        Ok(())
    }
}

/// What a pass does with decoded weights.
pub(super) const fn weights(resident: bool) -> &'static str {
    if resident { "weights stay in memory" } else { "weights streamed block by block" }
}

/// Says what a pass will run on and take.
pub(super) fn announce(run: &Run, plan: &MemoryPlan, context: &mut Context<'_>) -> anyhow::Result<()> {
    let weights = weights(plan.resident);
    writeln!(
        context.streams.err,
        "text: {}\nmemory: about {}, {weights}",
        plain(&run.windows.description, 200),
        bytes(plan.bytes),
    )?;
    Ok(())
}

/// Says what the passes of a scan will run on and take, before they do.
pub(super) fn announce_scan(scan: &Scan<'_>, run: &Run, context: &mut Context<'_>) -> anyhow::Result<()> {
    if let Some(plan) = scan.forward() {
        announce(run, plan, context)?;
    } else {
        writeln!(context.streams.err, "text: {}", plain(&run.windows.description, 200))?;
    }
    for PlannedPass { purpose, sequences, plan } in scan.reverse() {
        let weights = if plan.resident { "stay in memory" } else { "are streamed block by block" };
        let activations = if plan.keeps_activations { "kept" } else { "recomputed" };
        let inputs = if plan.inputs_on_disk {
            format!(", {} of block inputs in a scratch file", bytes(plan.disk_bytes))
        } else {
            String::new()
        };
        writeln!(
            context.streams.err,
            "forward and backward over {sequences} sequences, {purpose} (loss of {}): reads {}, memory about {}, weights \
             {weights}, activations {activations}{inputs}",
            run.loss(),
            bytes(plan.read_bytes),
            bytes(plan.bytes),
        )?;
    }
    match scan.causal() {
        Some(plan) => announce_causal(plan, context),
        None => Ok(()),
    }
}

/// Says what runs of changed models will take.
fn announce_causal(plan: &CausalPlan, context: &mut Context<'_>) -> anyhow::Result<()> {
    let err = &mut context.streams.err;
    let CausalPlan { variants, sequences, racing, compare, found, .. } = plan;
    if let Some(means) = &plan.means {
        writeln!(err, "forward for the means of outputs: memory about {}", bytes(means.bytes))?;
    }
    let weights = if compare.resident { "stay in memory" } else { "are streamed block by block" };
    writeln!(
        err,
        "one cell changed at a time: {} changed models on {sequences} sequences, {} passes of a sequence, {} GFLOP in {} rounds; \
         reads {}, memory about {}, weights {weights}",
        count(*variants as u64),
        count((variants * sequences) as u64),
        count(compare.operations / 1_000_000_000),
        compare.rounds.len(),
        bytes(compare.read_bytes),
        bytes(compare.bytes),
    )?;
    if let Some((cells, panel)) = racing {
        writeln!(
            err,
            "racing: {cells} cells get a few sequences first, {} passes in all; those of which it is not settled whether they belong \
             to the highest tenth get more. {panel} cells drawn at random get all, to tell how hard each sequence is. --exact \
             measures every cell on every sequence",
            count(plan.first as u64),
        )?;
    }
    match found {
        Found::Nothing => {}
        Found::Other => writeln!(
            err,
            "note: what an earlier scan kept is of another model, text or option; it is not used and will be overwritten"
        )?,
        Found::State { done, of } => {
            writeln!(err, "going on from an earlier scan: {done} of {of} passes are done")?;
        }
    }
    Ok(())
}
