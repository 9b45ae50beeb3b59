//! Two checkpoints one small step apart.

use std::io;
use std::path::{Path, PathBuf};

use rand::RngExt;

use crate::facts::{Plant, pair_facts};
use crate::write::{Tensor, embedding, planted_rms, save, stream, stream_of, tensors};
use crate::{Plan, cells, draw};

/// What a first step of Adam moves every weight by: its learning rate.
const STEP: f64 = 1e-5;
/// Size of cells for which no fact plants another: its density is 0.145, outside the range of every fact.
const UNPLANTED_RMS: f64 = 0.021_38;
/// Share of the weights that are moved where the step is left out, and by how much of themselves: a bf16 neighbour or two.
const RELATIVE_SHARE: f64 = 0.14;
const RELATIVE_STEP: f64 = 1.0 / 128.0;

/// A pair on disk, each a folder with `config.json` and `model.safetensors`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The checkpoint before.
    pub base: PathBuf,
    /// The checkpoint after.
    pub tuned: PathBuf,
    /// The seed they were drawn from.
    pub seed: u64,
    /// Ids of the planted facts, in the order of [`pair_facts`].
    pub planted: Vec<&'static str>,
}

/// Writes `base` and `tuned` into folder `dir`, with every fact of [`pair_facts`] planted: a tuning whose updates bf16
/// mostly absorbs, as those of reinforcement learning are.
///
/// Base is 28 layers of normal weights, of sizes that are the reference figure upside down. Tuned is base moved by 1e-5,
/// every weight up or down, and rounded to bf16 again. Which weights change follows from that.
///
/// # Errors
/// When a file cannot be written.
pub fn write_pair(dir: &Path, seed: u64) -> io::Result<Pair> {
    write_pair_with(dir, seed, &Plan::default())
}

/// As [`write_pair`], planting only what `plan` says.
///
/// # Errors
/// When a file cannot be written.
pub fn write_pair_with(dir: &Path, seed: u64, plan: &Plan) -> io::Result<Pair> {
    let entries = |id: tomo_map::CellId| {
        let (rows, cols) = cells::shape(id.component);
        let mut entries = draw::even_gaussian(&mut stream(seed, stream_of(id)), rows, cols);
        draw::scale_to_rms(&mut entries, planted_rms(pair_facts(), plan, id).unwrap_or(UNPLANTED_RMS));
        entries
    };
    let base = tensors(entries, &embedding(seed, UNPLANTED_RMS));
    let tuned: Vec<Tensor> = base.iter().zip(0u64..).map(|(tensor, at)| tuned(tensor, seed, at, plan)).collect();
    let pair = Pair {
        base: dir.join("base"),
        tuned: dir.join("tuned"),
        seed,
        planted: pair_facts().iter().map(|f| f.id).filter(|id| plan.plants(id)).collect(),
    };
    save(&pair.base, &base)?;
    save(&pair.tuned, &tuned)?;
    Ok(pair)
}

fn tuned(base: &Tensor, seed: u64, number: u64, plan: &Plan) -> Tensor {
    // Streams of the tensors themselves end far below.
    let mut rng = stream(seed, (1 << 32) + number);
    let one_step = pair_facts().iter().any(|f| matches!(f.plant, Plant::OneStep) && plan.plants(f.id));
    base.changed(|w| {
        let step = match one_step {
            true => STEP,
            false if rng.random::<f64>() < RELATIVE_SHARE => w * RELATIVE_STEP,
            false => 0.0,
        };
        w + if rng.random::<bool>() { step } else { -step }
    })
}
