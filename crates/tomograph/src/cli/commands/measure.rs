use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};
use tomo_map::significant;
use tomo_model::change::{Changes, Defaults};
use tomo_render::escape::plain;

use super::model_args::{ModelArgs, locate, open};
use super::run_args::{RunArgs, weights};
use super::{Context, Exit};
use crate::cli::numbers::{bytes, count, seconds};
use crate::cli::progress::Bar;
use crate::measure::{Estimate, Measured, Measurement};
use crate::run::Run;
use crate::scan;

/// Say what changes to a model do to its predictions: KL divergence, loss, perplexity, agreement
///
/// Changed and unchanged model run on the same tokens, and every number is paired over them; intervals are of 95 %, by a bootstrap
/// over sequences. A change is SELECTION=EDIT: L12.mlp.down=int3, attn.v=zero, L3-7.mlp=q4_0, all=noise:0.1. Several act together,
/// and the last word on a cell counts: --change all=int3 --change L5=restored. `list edits` shows what can be done to a cell.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// What is changed: SELECTION=EDIT; may be repeated
    #[arg(long = "change", value_name = "CHANGE", required = true)]
    changes: Vec<Changes>,

    /// The checkpoint that `patch` takes cells from, named as MODEL is
    #[arg(long, value_name = "BASE")]
    against: Option<String>,

    #[command(flatten)]
    run: RunArgs,

    /// Print JSON: nll, nll_original, difference, kl, kl_p99, top1, with _low and _high, and what was measured
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let request = self.model.request("rms", context)?;
        let model = Arc::new(open(&request)?);
        let changes: Changes = self.changes.iter().cloned().collect();
        // What does not fit the model is said before a text is tokenized.
        changes.cells(model.grid())?;
        let against = match &self.against {
            Some(name) => Some(Arc::new(scan::open(&locate(name, context)?, &request.cells)?)),
            None => None,
        };
        let run = self.run.prepare(&model, request.options.seed, request.threads, context)?;
        let defaults = Defaults { group: request.options.group, seed: request.options.seed };
        let mut measurement = Measurement::new(&run, changes, defaults, against)?;
        announce_measurement(&measurement, &run, context)?;
        let said = measurement.notes.clone();
        context.streams.listen();
        let clock = std::time::Instant::now();
        let bar = Bar::new(context.streams);
        let outcome = measurement.run(&bar);
        bar.clear();
        let Some(found) = outcome? else {
            writeln!(context.streams.err, "interrupted: nothing was measured")?;
            return Ok(Exit::Interrupted);
        };
        for note in measurement.notes.iter().filter(|note| !said.contains(note)) {
            writeln!(context.streams.err, "note: {note}")?;
        }
        let took = clock.elapsed().as_secs_f64();
        let out = &mut context.streams.out;
        if self.json {
            let mut json = as_json(&found);
            json.append(&mut self.about(&measurement, &run, &request)?);
            json.insert("seconds".to_owned(), took.into());
            writeln!(out, "{}", serde_json::to_string_pretty(&json)?)?;
            return Ok(Exit::Success);
        }
        print(&found, out)?;
        let (tokens, sequences) = (count(found.tokens as u64), found.sequences);
        writeln!(out, "{tokens} tokens predicted in {sequences} sequences, {}", seconds(took))?;
        Ok(Exit::Success)
    }

    /// What was measured, for whoever reads the JSON.
    fn about(
        &self,
        measurement: &Measurement<'_>,
        run: &Run,
        request: &scan::Request,
    ) -> anyhow::Result<serde_json::Map<String, Value>> {
        let about = json!({
            "changes": measurement.changes.texts(),
            "cells_changed": measurement.cells().count(),
            "notes": measurement.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "model": request.name,
            "model_digest": run.engine.model().source().digest()?,
            "text": run.windows.description,
            "text_digest": run.windows.digest(),
            "against": self.against,
            "seed": request.options.seed,
        });
        Ok(match about {
            Value::Object(about) => about,
            _ => serde_json::Map::new(),
        })
    }
}

/// Says what is changed, what it will run on and what it takes.
fn announce_measurement(measurement: &Measurement<'_>, run: &Run, context: &mut Context<'_>) -> anyhow::Result<()> {
    let all = run.engine.model().grid().cells.len();
    let changes = measurement.changes.to_string();
    writeln!(context.streams.err, "change: {} ({} of {all} cells)", plain(&changes, 400), measurement.cells().count())?;
    for note in &measurement.notes {
        writeln!(context.streams.err, "note: {note}")?;
    }
    if let Some(first) = &measurement.first {
        writeln!(context.streams.err, "first pass: collects means, memory about {}", bytes(first.bytes))?;
    }
    let plan = &measurement.plan;
    let weights = weights(plan.resident);
    writeln!(
        context.streams.err,
        "text: {}\nmemory: about {}, {weights}; reads {}, {} TFLOP",
        plain(&run.windows.description, 200),
        bytes(plan.bytes),
        bytes(plan.read_bytes),
        significant(plan.operations as f64 / 1e12, 2),
    )?;
    Ok(())
}

/// The numbers by name; those with an interval have `_low` and `_high`, null where there is none.
fn as_json(found: &Measured) -> serde_json::Map<String, Value> {
    let mut json = serde_json::Map::new();
    let estimates = [
        ("nll", found.nll),
        ("nll_original", found.nll_original),
        ("difference", found.difference),
        ("kl", found.kl),
        ("top1", found.top1),
    ];
    for (name, Estimate { value, interval }) in estimates {
        json.insert(name.to_owned(), value.into());
        json.insert(format!("{name}_low"), interval.map(|i| i.0).into());
        json.insert(format!("{name}_high"), interval.map(|i| i.1).into());
    }
    json.insert("kl_p99".to_owned(), found.kl_p99.value.into());
    json.insert("perplexity".to_owned(), found.nll.value.exp().into());
    json.insert("perplexity_original".to_owned(), found.nll_original.value.exp().into());
    json.insert("tokens".to_owned(), found.tokens.into());
    json.insert("sequences".to_owned(), found.sequences.into());
    json
}

/// A few lines for a reader.
fn print(found: &Measured, out: &mut dyn Write) -> anyhow::Result<()> {
    let Measured { nll, nll_original, difference, kl, kl_p99, top1, .. } = found;
    let interval = |estimate: &Estimate, print: &dyn Fn(f64) -> String| {
        estimate.interval.map_or_else(String::new, |(low, high)| format!(" [{}, {}]", print(low), print(high)))
    };
    let (signed, short) = (|x: f64| format!("{x:+.6}"), |x: f64| significant(x, 4));
    let percent = |x: f64| format!("{:.2}", 100.0 * x);
    writeln!(
        out,
        "NLL         {:.6} nats per token, {:.6} unchanged: {:+.6}{}",
        nll.value,
        nll_original.value,
        difference.value,
        interval(difference, &signed)
    )?;
    let (perplexity, before) = (nll.value.exp(), nll_original.value.exp());
    writeln!(out, "perplexity  {perplexity:.4}, {before:.4} unchanged")?;
    let (value, far) = (short(kl.value), short(kl_p99.value));
    writeln!(out, "KL          {value}{} nats per token; of one token in a hundred above {far}", interval(kl, &short))?;
    let value = percent(top1.value);
    writeln!(out, "top-1       {value}{} % of tokens keep their most likely token", interval(top1, &percent))?;
    if kl.interval.is_none() {
        writeln!(out, "one sequence gives no intervals")?;
    }
    Ok(())
}
