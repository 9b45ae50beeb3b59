//! The options of `map`, by their headings.

use std::path::{Path, PathBuf};

use tomo_map::Selection;
use tomo_metrics::Cast;
use tomo_model::change::{Edit, Rank};

use super::Context;
use super::model_args::locate;
use crate::parts::{Cut, Shard};
use crate::run::LossChoice;
use crate::scan::Request;

/// Which part of the scan is made.
#[derive(clap::Args)]
#[command(next_help_heading = "A part of the scan, for merge to put together with the others")]
#[group(multiple = false)]
pub(super) struct PartArgs {
    /// Scan these layers alone: 0-13, or several: 0-3,20
    #[arg(long, value_name = "A-B,…", value_parser = layers)]
    layers: Option<Selection>,

    /// Scan these cells alone: attn.v, L12.mlp.down, L3-7.mlp, several separated by commas
    #[arg(id = "part_cells", long = "cells", value_name = "CELLS")]
    cells: Option<Selection>,

    /// Make the map on the Ray cluster at this address (auto: the one that this machine belongs to, or a new one of its own); takes the Python
    /// package, whose program this is too
    #[arg(long, value_name = "ADDRESS|auto")]
    pub(super) ray: Option<String>,

    /// Make one of several parts of like size, e.g. 3/16: of cells or of sequences, whichever gives the same numbers; a line says which
    #[arg(long, value_name = "N/OF")]
    shard: Option<Shard>,
}

/// How a scan is shared out on a cluster.
#[derive(clap::Args)]
#[command(next_help_heading = "On Ray")]
pub(super) struct RayArgs {
    /// Parts that the scan is cut into [default: twice as many as workers have room at once]
    #[arg(long, value_name = "N", requires = "ray", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) shards: Option<u32>,

    /// How often a part is begun anew whose worker was lost
    #[arg(long, value_name = "N", requires = "ray", default_value_t = 3)]
    ray_retries: u32,
}

/// `0-13,20` as a selection of cells.
fn layers(text: &str) -> Result<Selection, String> {
    let address = |part: &str| format!("L{}", part.trim().trim_start_matches('L'));
    let addresses: Vec<String> = text.split(',').map(address).collect();
    let is_layers = |address: &String| !address.contains('.') && !address.contains('[');
    match addresses.join(",").parse() {
        Ok(selection) if addresses.iter().all(is_layers) => Ok(selection),
        _ => Err("expected layers: 0-13, or several: 0-3,20".to_owned()),
    }
}

impl PartArgs {
    pub(super) fn cut(&self) -> Option<Cut> {
        let cells = self.layers.as_ref().or(self.cells.as_ref()).map(|selection| Cut::Cells(selection.clone()));
        cells.or_else(|| self.shard.map(Cut::Shard))
    }
}

/// What the model is compared with, and how.
#[derive(clap::Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct ComparisonArgs {
    /// Compare with this checkpoint, what the model was before it was tuned (patch-kl puts its cells into the model): a
    /// folder, file or hub name as for MODEL, of the same family and shape
    #[arg(long, value_name = "BASE")]
    pub(super) against: Option<String>,

    /// Round both sides to this type before comparing: what both would store
    #[arg(long, value_name = "bf16|f16|f32", requires = "against")]
    cast: Option<Cast>,

    /// Leave out cells that cannot be compared (another shape, missing on one side) instead of refusing
    #[arg(long, requires = "against")]
    partial: bool,

    /// k of subspace-overlap-… and delta-on-principal: how many of the strongest singular directions are compared
    #[arg(long, value_name = "K", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    subspace_rank: u32,
}

impl ComparisonArgs {
    pub(super) fn apply(&self, request: &mut Request, context: &mut Context<'_>) -> anyhow::Result<()> {
        if let Some(name) = &self.against {
            request.against = Some(locate(name, context)?);
            request.against_name = tomo_checkpoint::store::without_secrets(name);
        }
        request.cast = self.cast;
        request.partial = self.partial;
        request.options.subspace_rank = usize::try_from(self.subspace_rank)?;
        Ok(())
    }
}

/// What gradients are taken of, and how many.
#[derive(clap::Args)]
#[command(next_help_heading = "Gradients")]
pub(super) struct GradientArgs {
    /// Which tokens the loss is of: all that are predicted, or the answers' alone [default: answer with --answers, else text]
    #[arg(long, value_enum)]
    loss: Option<Loss>,

    /// Run on prompts with their completions instead of a text: JSON lines with the keys prompt and completion
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "field", "token_ids"])]
    answers: Option<PathBuf>,

    /// Draws of labels from the model for predicted-kl-…, each a reverse pass in the same sweep; the relative noise of a
    /// cell is about the root of 2 over draws times sequences, and less with the neighbours' help [default: 96 over the
    /// number of sequences, at least 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    draws: Option<u32>,

    /// Points on the way from another sequence for ig, each a reverse pass of its own
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1024))]
    ig_steps: u32,

    /// Keep on disk what the reverse pass needs to go on after it was ended, and go on from there: the same command gives
    /// the same bits; causal metrics always do [default folder: resume in the folder for the results]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Loss {
    Text,
    Answer,
}

impl GradientArgs {
    pub(super) fn apply(&self, request: &mut Request, folder: &Path) -> anyhow::Result<()> {
        request.text.loss = self.loss.map(|loss| match loss {
            Loss::Text => LossChoice::Text,
            Loss::Answer => LossChoice::Answer,
        });
        request.text.answers.clone_from(&self.answers);
        request.draws = self.draws.map(usize::try_from).transpose()?;
        request.options.steps = usize::try_from(self.ig_steps)?;
        request.resume = self.resume.clone().map(|given| given.unwrap_or_else(|| resume_folder(folder)));
        Ok(())
    }
}

/// How cells are changed, and how often.
#[derive(clap::Args)]
#[command(next_help_heading = "Interventions")]
pub(super) struct InterventionArgs {
    /// Run every changed model on every sequence: without it a cell is measured until it is settled whether it belongs to
    /// the highest tenth
    #[arg(long)]
    exact: bool,

    /// Sizes of the noise of noise-alpha, relative to the root mean square of the weights
    #[arg(long, value_name = "T,…", value_delimiter = ',', default_values_t = [0.05, 0.1, 0.15, 0.2], value_parser = noise_level)]
    noise_levels: Vec<f64>,

    /// Draws of noise of each size
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    noise_seeds: u32,

    /// What lowrank-kl keeps of a cell: a share of its singular values (0.5), or a number of them (32)
    #[arg(long, value_name = "SHARE|N", default_value = "0.5", value_parser = rank)]
    rank: Rank,
}

fn noise_level(text: &str) -> Result<f64, String> {
    let level = text.parse().ok().filter(|t: &f64| t.is_finite() && *t > 0.0);
    level.ok_or_else(|| "expected a number above 0".to_owned())
}

fn rank(text: &str) -> Result<Rank, String> {
    match format!("rank:{text}").parse() {
        Ok(Edit::Rank(rank)) => Ok(rank),
        _ => Err("expected a whole number of at least 1, or a share above 0 and at most 1.0".to_owned()),
    }
}

impl InterventionArgs {
    pub(super) fn apply(&self, request: &mut Request, folder: &Path) -> anyhow::Result<()> {
        request.options.exact = self.exact;
        request.options.noise_levels.clone_from(&self.noise_levels);
        request.options.noise_seeds = usize::try_from(self.noise_seeds)?;
        request.options.rank = self.rank;
        request.keep = Some(request.resume.clone().unwrap_or_else(|| resume_folder(folder)));
        Ok(())
    }
}

fn resume_folder(folder: &Path) -> PathBuf {
    folder.join("resume")
}
