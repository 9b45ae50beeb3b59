use std::io::Write;
use std::sync::Arc;

use anyhow::anyhow;
use serde_json::json;
use tomo_model::engine::Until;

use super::model_args::{ModelArgs, open};
use super::run_args::{RunArgs, announce};
use super::{Context, Exit};
use crate::cli::numbers::{count, seconds};
use crate::cli::progress::Bar;
use crate::run::Perplexity;

/// Say how well a model predicts a text: mean negative log likelihood and perplexity, with standard errors
///
/// Every window is run by itself from position 0, and every token but its first counts. llama-perplexity scores only the
/// second half of each window, so its number is lower; with --token-ids any program can be given the same tokens.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    run: RunArgs,

    /// Print JSON: nll, perplexity, stderr (of the NLL, over tokens), tokens and more
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let request = self.model.request("rms", context)?;
        let model = Arc::new(open(&request)?);
        let run = self.run.prepare(&model, request.options.seed, request.threads, context)?;
        let plan = run.plan(&[], 0, Until::Loss)?;
        announce(&run, &plan, context)?;
        context.streams.listen();
        let clock = std::time::Instant::now();
        let bar = Bar::new(context.streams);
        let outcome = run.forward(&[], &plan, Until::Loss, &bar);
        bar.clear();
        let outcome = outcome?;
        if !outcome.completed {
            writeln!(context.streams.err, "interrupted: there is no perplexity of half a model")?;
            return Ok(Exit::Interrupted);
        }
        let found = Perplexity::of(&outcome.losses).ok_or_else(|| anyhow!("no token was predicted"))?;
        let took = clock.elapsed().as_secs_f64();
        let out = &mut context.streams.out;
        if self.json {
            let json = json!({
                "nll": found.nll,
                "perplexity": found.perplexity,
                "stderr": found.nll_stderr,
                "perplexity_stderr": found.perplexity_stderr,
                "stderr_of_sequences": found.nll_stderr_of_sequences,
                "tokens": found.tokens,
                "sequences": found.sequences,
                "nll_per_sequence": outcome.losses.iter().map(|s| s.iter().sum::<f64>() / s.len() as f64).collect::<Vec<_>>(),
                "text": run.windows.description,
                "token_digest": run.windows.digest(),
                "model": request.name,
                "seconds": took,
            });
            writeln!(out, "{}", serde_json::to_string_pretty(&json)?)?;
            return Ok(Exit::Success);
        }
        writeln!(out, "NLL         {:.6} +- {:.6} nats per token", found.nll, found.nll_stderr)?;
        writeln!(out, "perplexity  {:.4} +- {:.4}", found.perplexity, found.perplexity_stderr)?;
        if let Some(stderr) = found.nll_stderr_of_sequences {
            writeln!(out, "over sequences instead of tokens, the NLL is known to +- {stderr:.6}")?;
        }
        let (tokens, sequences) = (count(found.tokens as u64), found.sequences);
        writeln!(out, "{tokens} tokens predicted in {sequences} sequences, {}", seconds(took))?;
        Ok(Exit::Success)
    }
}
