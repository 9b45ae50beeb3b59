use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::json;
use tomo_checkpoint::{Config, DType, Error, ErrorKind, Format, Source, TensorInfo};
use tomo_map::{CellId, Component};

/// A checkpoint held in memory as f32, for tests that need a [`Source`] and no file.
#[derive(Clone, Debug)]
pub struct MemorySource {
    path: PathBuf,
    config: Config,
    infos: Vec<TensorInfo>,
    data: BTreeMap<String, Vec<f32>>,
}

impl MemorySource {
    /// No tensors yet.
    pub fn new(config: Config) -> Self {
        Self { path: PathBuf::from("memory"), config, infos: Vec::new(), data: BTreeMap::new() }
    }

    /// Adds a tensor, or replaces the one of that name; `values` are row-major.
    ///
    /// # Panics
    /// When `values` is not as long as `shape` says.
    #[must_use]
    pub fn with(mut self, name: &str, shape: &[u64], values: Vec<f32>) -> Self {
        let numel: u64 = shape.iter().product();
        assert_eq!(values.len() as u64, numel, "{name}: {} values for shape {shape:?}", values.len());
        let info = TensorInfo { name: name.to_owned(), dtype: DType::F32, shape: shape.to_vec(), bytes: numel * 4 };
        self.infos.retain(|t| t.name != name);
        let at = self.infos.partition_point(|t| t.name < info.name);
        self.infos.insert(at, info);
        self.data.insert(name.to_owned(), values);
        self
    }

    /// Takes a tensor away, to see what misses it.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.infos.retain(|t| t.name != name);
        self.data.remove(name);
        self
    }

    /// All values of a tensor.
    pub fn values(&self, name: &str) -> Option<&[f32]> {
        self.data.get(name).map(Vec::as_slice)
    }
}

impl Source for MemorySource {
    fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> Format {
        Format::Safetensors
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn decode(&self, name: &str, range: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        let missing = || Error::new(ErrorKind::Missing, "no such tensor").in_tensor(name);
        let values = self.data.get(name).ok_or_else(missing)?;
        let outside =
            || Error::new(ErrorKind::Malformed, format!("range {range:?} is outside the tensor")).in_tensor(name);
        let [start, end] = [range.start, range.end].map(|i| usize::try_from(i).unwrap_or(usize::MAX));
        let part = values.get(start..end).ok_or_else(outside)?;
        if part.len() != out.len() {
            let found = format!("{} elements", out.len());
            return Err(Error::new(ErrorKind::Malformed, "output of another length").in_tensor(name).found(found));
        }
        out.copy_from_slice(part);
        Ok(())
    }

    fn digest(&self) -> Result<String, Error> {
        // DefaultHasher::new() has fixed keys: stable within one build, which is all a test needs.
        let mut hasher = DefaultHasher::new();
        for (name, values) in &self.data {
            name.hash(&mut hasher);
            values.iter().for_each(|v| v.to_bits().hash(&mut hasher));
        }
        Ok(format!("{:016x}", hasher.finish()))
    }
}

/// Dimensions of a llama-family model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LlamaDims {
    /// Layers L.
    pub layers: u32,
    /// Hidden width D.
    pub hidden: u64,
    /// MLP width F.
    pub ffn: u64,
    /// Query heads H.
    pub heads: u64,
    /// Key/value heads K.
    pub kv_heads: u64,
    /// Head width C.
    pub head_dim: u64,
    /// Vocabulary V.
    pub vocab: u64,
}

impl LlamaDims {
    /// The smallest model in which no two of D, F, H*C and K*C are equal, so that a mixed-up shape shows.
    pub const TINY: Self = Self { layers: 2, hidden: 12, ffn: 20, heads: 4, kv_heads: 2, head_dim: 4, vocab: 17 };

    /// `out x in` of a component's cells.
    pub const fn shape(&self, component: Component) -> (u64, u64) {
        match component {
            Component::AttnQ => (self.heads * self.head_dim, self.hidden),
            Component::AttnK | Component::AttnV => (self.kv_heads * self.head_dim, self.hidden),
            Component::AttnO => (self.hidden, self.heads * self.head_dim),
            Component::MlpUp | Component::MlpGate => (self.ffn, self.hidden),
            Component::MlpDown => (self.hidden, self.ffn),
        }
    }

    /// A cell's tensor in the llama dialect of Hugging Face.
    pub fn tensor_name(id: CellId) -> String {
        let module = match id.component {
            Component::AttnQ => "self_attn.q_proj",
            Component::AttnK => "self_attn.k_proj",
            Component::AttnV => "self_attn.v_proj",
            Component::AttnO => "self_attn.o_proj",
            Component::MlpUp => "mlp.up_proj",
            Component::MlpDown => "mlp.down_proj",
            Component::MlpGate => "mlp.gate_proj",
        };
        format!("model.layers.{}.{module}.weight", id.layer)
    }
}

/// A llama-family model in memory. Every tensor holds different values, all in -1..1 and exact in f32.
pub fn llama_source(dims: LlamaDims) -> MemorySource {
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": dims.hidden,
        "intermediate_size": dims.ffn,
        "num_hidden_layers": dims.layers,
        "num_attention_heads": dims.heads,
        "num_key_value_heads": dims.kv_heads,
        "head_dim": dims.head_dim,
        "vocab_size": dims.vocab,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": true,
    });
    let mut source = MemorySource::new(Config::HuggingFace(config));
    let mut state = 1;
    let mut add = |name: String, shape: &[u64]| {
        let values = (0..shape.iter().product()).map(|_| next(&mut state)).collect();
        source = source.clone().with(&name, shape, values);
    };
    for layer in 0..dims.layers {
        for component in Component::ALL {
            let (rows, cols) = dims.shape(component);
            add(LlamaDims::tensor_name(CellId { layer, component, expert: None }), &[rows, cols]);
        }
        add(format!("model.layers.{layer}.input_layernorm.weight"), &[dims.hidden]);
        add(format!("model.layers.{layer}.post_attention_layernorm.weight"), &[dims.hidden]);
    }
    add("model.norm.weight".to_owned(), &[dims.hidden]);
    add("model.embed_tokens.weight".to_owned(), &[dims.vocab, dims.hidden]);
    source
}

/// The top 24 bits of a 64-bit linear congruential generator (Knuth's MMIX constants), as a number in -1..1.
fn next(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
}
