use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use half::bf16;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tomo_map::{CellId, Component};

use crate::Plan;
use crate::cells::{self, FFN, HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, VOCAB};
use crate::draw::{self, Entries};
use crate::facts::{Fact, Plant, facts};

/// Size of cells for which no fact plants another: outside the range of every fact about sizes.
const UNPLANTED_RMS: f64 = 0.145;

/// A phantom on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phantom {
    /// The folder: `config.json` and `model.safetensors`.
    pub dir: PathBuf,
    /// The seed it was drawn from.
    pub seed: u64,
    /// Ids of the planted facts, in the order of [`facts`].
    pub planted: Vec<&'static str>,
}

/// Writes the phantom of `seed` with every fact planted into folder `dir`, which is made if it is not there.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path, seed: u64) -> io::Result<Phantom> {
    write_with(dir, seed, &Plan::default())
}

/// As [`write()`], planting only what `plan` says. Cells that a left-out fact does not touch keep their bits.
///
/// # Errors
/// When a file cannot be written.
pub fn write_with(dir: &Path, seed: u64, plan: &Plan) -> io::Result<Phantom> {
    save(dir, &tensors(|id| entries(seed, plan, id), &embedding(seed, UNPLANTED_RMS)))?;
    let planted = facts().iter().map(|f| f.id).filter(|id| plan.plants(id)).collect();
    Ok(Phantom { dir: dir.to_owned(), seed, planted })
}

/// Writes a checkpoint of these tensors.
pub(crate) fn save(dir: &Path, tensors: &[Tensor]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let views = tensors
        .iter()
        .map(|t| TensorView::new(Dtype::BF16, t.shape.clone(), &t.bytes).map(|view| (&t.name, view)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize_to_file(views, Some(metadata), &dir.join("model.safetensors")).map_err(io::Error::other)?;
    fs::write(dir.join("config.json"), serde_json::to_vec_pretty(&config())?)
}

pub(crate) struct Tensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn from_entries(name: String, shape: Vec<usize>, entries: &[f64]) -> Self {
        let bytes = entries.iter().flat_map(|&x| bf16::from_f64(x).to_le_bytes()).collect();
        Self { name, shape, bytes }
    }

    /// The same tensor with `change` made to every entry, and rounded again.
    pub(crate) fn changed(&self, mut change: impl FnMut(f64) -> f64) -> Self {
        let entry = |b: &[u8]| bf16::from_le_bytes([b[0], b[1]]).to_f64();
        let entries: Vec<f64> = self.bytes.chunks_exact(2).map(|b| change(entry(b))).collect();
        Self::from_entries(self.name.clone(), self.shape.clone(), &entries)
    }
}

/// All tensors of a checkpoint: cells as `entries` draws them, norms of ones.
pub(crate) fn tensors(entries: impl Fn(CellId) -> Entries, embedding: &Entries) -> Vec<Tensor> {
    let ones = |name: String| Tensor::from_entries(name, vec![HIDDEN], &[1.0; HIDDEN]);
    let cell = |id: CellId| {
        let (rows, cols) = cells::shape(id.component);
        Tensor::from_entries(cells::tensor_name(id.layer, id.component), vec![rows, cols], &entries(id))
    };
    let mut all: Vec<Tensor> = cells::all().map(cell).collect();
    for layer in 0..LAYERS {
        all.push(ones(format!("model.layers.{layer}.input_layernorm.weight")));
        all.push(ones(format!("model.layers.{layer}.post_attention_layernorm.weight")));
    }
    all.push(ones("model.norm.weight".to_owned()));
    all.push(Tensor::from_entries("model.embed_tokens.weight".to_owned(), vec![VOCAB, HIDDEN], embedding));
    all
}

/// An embedding of normal entries.
pub(crate) fn embedding(seed: u64, rms: f64) -> Entries {
    let mut embedding = draw::gaussian(&mut stream(seed, u64::MAX), VOCAB, HIDDEN);
    draw::scale_to_rms(&mut embedding, rms);
    embedding
}

/// Size of a cell's weights, where a fact that is planted says.
pub(crate) fn planted_rms(facts: &[Fact], plan: &Plan, id: CellId) -> Option<f64> {
    facts.iter().filter(|f| plan.plants(f.id)).find_map(|f| match f.plant {
        Plant::Rms(level) => level(id),
        _ => None,
    })
}

fn entries(seed: u64, plan: &Plan, id: CellId) -> Entries {
    let (rows, cols) = cells::shape(id.component);
    let structure = facts().iter().find_map(|f| match f.plant {
        Plant::Structure { here, draw } => (here(id) && plan.plants(f.id)).then_some(draw),
        Plant::Noise { here, otherwise } => (here(id) && !plan.plants(f.id)).then_some(otherwise),
        Plant::Rms(_) | Plant::OneStep => None,
    });
    let mut entries = structure.unwrap_or(draw::gaussian)(&mut stream(seed, stream_of(id)), rows, cols);
    draw::scale_to_rms(&mut entries, planted_rms(facts(), plan, id).unwrap_or(UNPLANTED_RMS));
    entries
}

/// Every tensor draws from its own stream, so that what is planted in one never moves another.
pub(crate) fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

pub(crate) fn stream_of(id: CellId) -> u64 {
    u64::from(id.layer) * Component::ALL.len() as u64 + id.component.index() as u64
}

fn config() -> serde_json::Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "vocab_size": VOCAB,
        "max_position_embeddings": 512,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": null,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": true,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "bfloat16",
    })
}
