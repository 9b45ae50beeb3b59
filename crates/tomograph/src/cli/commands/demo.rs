use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tomo_map::Map;

use super::map::{scan_with_progress, summary};
use super::{Context, Exit};
use crate::cli::files;
use crate::cli::output::Look;
use crate::scan::Request;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/demo/", $name)))),*]
    };
}

/// The trained model; `docs/demo-model.md` says how it was made.
const TRAINED: &[(&str, &[u8])] = embedded!["base/model.safetensors", "base/config.json", "base/tokenizer.json"];

/// Text that it did not see in training.
const PROSE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/demo/prose.jsonl"));

/// What weights alone do not tell; one forward pass and two backward, over a text of a thousand bytes.
const METRICS: &str = "output-energy,block-influence,fisher,predicted-kl-int3";
const TOKENS: usize = 1024;
const SEQUENCE: usize = 256;
/// Drawn of the trained model.
const SHOWN: &str = "predicted-kl-int3";
/// Drawn of the pair: the reference figure of this project.
const SHOWN_OF_PAIR: &str = "update-density";

/// Scan small models: a phantom, a pair before and after tuning, and one that was trained
///
/// As a scanner is calibrated with a body of known insides, so is this one: the demo generates a 28-layer model in which
/// it hid structure, scans it like any other model, and checks the map against what it planted. So it does with a pair of
/// checkpoints a small step apart. These compute nothing; so the last is a 28-layer model of bytes that was trained, for
/// the metrics that run a model forward and backward.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seed of the phantom and of the pair
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Folder for the models and the results
    #[arg(long, value_name = "DIR", default_value = "tomograph-demo")]
    out: PathBuf,

    #[command(flatten)]
    look: Look,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let phantom = self.phantom(context)?;
        if phantom == Exit::Interrupted {
            return Ok(phantom);
        }
        let mut ended = phantom;
        for part in [Self::pair, Self::trained] {
            match part(&self, context)? {
                Exit::Success => {}
                Exit::Interrupted => return Ok(Exit::Interrupted),
                exit => ended = exit,
            }
        }
        Ok(ended)
    }

    /// Planted structure, and what the scan found of it.
    fn phantom(&self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let folder = self.out.join("phantom");
        make(&folder)?;
        tomo_phantom::write(&folder, self.seed).with_context(|| format!("cannot write {}", folder.display()))?;

        let request = request(&folder, "phantom", "all,spectrum@null", context)?;
        let map = scan_with_progress(&request, None, context)?.map;
        self.look.write_all(&map, &self.out, "map")?;
        self.look.print(&map, None, context)?;
        let missed = facts(tomo_phantom::facts(), &map, context)?;
        let exit = summary(&map, &self.out, context)?;
        Ok(if missed > 0 && exit == Exit::Success { Exit::Failure } else { exit })
    }

    /// What a small tuning changed, where most of it was too small for the format.
    fn pair(&self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let folder = self.out.join("pair");
        make(&folder)?;
        let pair = tomo_phantom::write_pair(&folder, self.seed)
            .with_context(|| format!("cannot write {}", folder.display()))?;
        let mut request = request(&pair.tuned, "tuned", "delta", context)?;
        request.against = Some(pair.base);
        request.against_name = "base".to_owned();
        writeln!(
            context.streams.out,
            "\nA pair of checkpoints, before and after one small step that bf16 mostly absorbs:\n"
        )?;
        let map = scan_with_progress(&request, None, context)?.map;
        self.look.write_all(&map, &folder, "map")?;
        self.look.print(&map, Some(SHOWN_OF_PAIR), context)?;
        let missed = facts(tomo_phantom::pair_facts(), &map, context)?;
        let exit = summary(&map, &folder, context)?;
        Ok(if missed > 0 && exit == Exit::Success { Exit::Failure } else { exit })
    }

    /// What it takes a model that computes something to see.
    fn trained(&self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let folder = self.out.join("trained");
        let checkpoint = folder.join("base");
        make(&checkpoint)?;
        for (name, bytes) in TRAINED {
            files::write_whole(&folder.join(name), bytes)?;
        }
        let text = folder.join("prose.jsonl");
        files::write_whole(&text, PROSE)?;

        let mut request = request(&checkpoint, "trained demo model", METRICS, context)?;
        request.text.files = vec![text];
        (request.text.tokens, request.text.sequence) = (TOKENS, SEQUENCE);
        writeln!(context.streams.out, "\nA trained model, of bytes, on text that it has not seen:\n")?;
        let map = scan_with_progress(&request, None, context)?.map;
        self.look.write_all(&map, &folder, "map")?;
        self.look.print(&map, Some(SHOWN), context)?;
        summary(&map, &folder, context)
    }
}

fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn request(folder: &Path, name: &str, metrics: &str, context: &Context<'_>) -> anyhow::Result<Request> {
    let mut request = Request::new(folder).metrics(metrics)?;
    request.name = name.to_owned();
    request.command.clone_from(&context.typed);
    Ok(request)
}

/// Prints what was planted and what the map shows of it; how much of it was missed.
fn facts(planted: &[tomo_phantom::Fact], map: &Map, context: &mut Context<'_>) -> anyhow::Result<usize> {
    let out = &mut context.streams.out;
    writeln!(out, "\nWhat was planted, and what the scan found of it:")?;
    let mut missed = 0;
    for fact in planted {
        let outcome = fact.check(map);
        let mark = if outcome.recovered { "found " } else { "MISSED" };
        missed += usize::from(!outcome.recovered);
        writeln!(out, "  {mark}  {}\n          {}", fact.sentence, outcome.evidence)?;
    }
    Ok(missed)
}
