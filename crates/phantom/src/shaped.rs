//! Checkpoints of any size and nothing planted, streamed to disk: for tests of memory and speed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use half::{bf16, f16};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde_json::json;

/// Entries in the pool that rows are cut from.
const POOL: usize = 1 << 20;
/// Row scales: rows of real weights differ in norm.
const SCALES: [f64; 8] = [0.80, 0.86, 0.92, 0.97, 1.02, 1.08, 1.14, 1.21];
/// Standard deviation at scale 1, the usual initialisation of llama-family models.
const SD: f64 = 0.02;
/// Bytes collected before a write.
const CHUNK: usize = 4 << 20;

/// Element type of a shaped checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShapedDType {
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl ShapedDType {
    const fn dtype(self) -> Dtype {
        match self {
            Self::Bf16 => Dtype::BF16,
            Self::F16 => Dtype::F16,
            Self::F32 => Dtype::F32,
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// As `config.json` spells it.
    const fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
            Self::F32 => "float32",
        }
    }

    fn encode(self, x: f64, out: &mut Vec<u8>) {
        match self {
            Self::Bf16 => out.extend(bf16::from_f64(x).to_le_bytes()),
            Self::F16 => out.extend(f16::from_f64(x).to_le_bytes()),
            Self::F32 => out.extend((x as f32).to_le_bytes()),
        }
    }
}

/// Dimensions of a llama-family model; the head width is `hidden / heads`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Layers L.
    pub layers: usize,
    /// Hidden width D.
    pub hidden: usize,
    /// MLP width F.
    pub ffn: usize,
    /// Query heads H.
    pub heads: usize,
    /// Key/value heads K.
    pub kv_heads: usize,
    /// Vocabulary V.
    pub vocab: usize,
    /// Whether the embedding also serves as the output matrix.
    pub tied: bool,
    /// Element type.
    pub dtype: ShapedDType,
}

impl Shape {
    /// 28 layers, 1.5 billion weights, tied: 3.1 GB in bf16.
    pub const LIKE_1_5B: Self = Self {
        layers: 28,
        hidden: 1536,
        ffn: 8960,
        heads: 12,
        kv_heads: 2,
        vocab: 151_936,
        tied: true,
        dtype: ShapedDType::Bf16,
    };

    /// 32 layers, 8 billion weights: 16 GB in bf16.
    pub const LIKE_8B: Self = Self {
        layers: 32,
        hidden: 4096,
        ffn: 14_336,
        heads: 32,
        kv_heads: 8,
        vocab: 128_256,
        tied: false,
        dtype: ShapedDType::Bf16,
    };

    fn head_dim(&self) -> io::Result<usize> {
        let sound = self.heads > 0 && self.hidden.is_multiple_of(self.heads) && self.layers > 0;
        let message = || io::Error::other(format!("hidden {} is not a multiple of heads {}", self.hidden, self.heads));
        if sound { Ok(self.hidden / self.heads) } else { Err(message()) }
    }

    /// Names and dimensions of every tensor, in the order of the files.
    fn tensors(&self) -> io::Result<Vec<(String, Vec<usize>)>> {
        let (d, f, c) = (self.hidden, self.ffn, self.head_dim()?);
        let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab, d])];
        for layer in 0..self.layers {
            let mut push = |module: &str, shape: &[usize]| {
                all.push((format!("model.layers.{layer}.{module}.weight"), shape.to_vec()));
            };
            push("self_attn.q_proj", &[self.heads * c, d]);
            push("self_attn.k_proj", &[self.kv_heads * c, d]);
            push("self_attn.v_proj", &[self.kv_heads * c, d]);
            push("self_attn.o_proj", &[d, self.heads * c]);
            push("mlp.up_proj", &[f, d]);
            push("mlp.down_proj", &[d, f]);
            push("mlp.gate_proj", &[f, d]);
            push("input_layernorm", &[d]);
            push("post_attention_layernorm", &[d]);
        }
        all.push(("model.norm.weight".to_owned(), vec![d]));
        if !self.tied {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab, d]));
        }
        Ok(all)
    }

    fn config(&self) -> io::Result<serde_json::Value> {
        Ok(json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.ffn,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim()?,
            "vocab_size": self.vocab,
            "max_position_embeddings": 4096,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "rope_scaling": null,
            "attention_bias": false,
            "mlp_bias": false,
            "tie_word_embeddings": self.tied,
            "torch_dtype": self.dtype.name(),
        }))
    }
}

/// Writes a random Hugging Face folder of `shape` into `dir`, in `shards` safetensors files (with an index from two on),
/// and returns its bytes of weights. Memory stays near 40 MB whatever the size.
///
/// Rows are cut from a pool of 2^20 normal entries at random places and scaled by one of eight factors: full rank, no two
/// rows alike but by rare chance, and as fast as the disk.
///
/// # Errors
/// When `hidden` is no multiple of `heads`, a count is 0 or a file cannot be written.
pub fn write_shaped(dir: &Path, shape: &Shape, seed: u64, shards: usize) -> io::Result<u64> {
    write_nudged(dir, shape, seed, shards, 0.0)
}

/// The checkpoint of [`write_shaped`] with a normal change of standard deviation `nudge` added to every entry before it is
/// stored: the other half of a pair.
///
/// # Errors
/// As [`write_shaped`].
pub fn write_nudged(dir: &Path, shape: &Shape, seed: u64, shards: usize, nudge: f64) -> io::Result<u64> {
    fs::create_dir_all(dir)?;
    let tensors = shape.tensors()?;
    let size = |shape_of: &[usize]| shape_of.iter().product::<usize>() * shape.dtype.bytes();
    let total: usize = tensors.iter().map(|(_, s)| size(s)).sum();
    if shards == 0 || shards > tensors.len() || total == 0 {
        return Err(io::Error::other(format!("cannot cut {} tensors into {shards} shards", tensors.len())));
    }
    let mut pool = Pool::new(shape, seed, nudge)?;
    let mut weight_map = serde_json::Map::new();
    let mut rest = tensors.as_slice();
    let mut written = 0;
    for shard in 1..=shards {
        let file = match shards {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{shard:05}-of-{shards:05}.safetensors"),
        };
        // At least one tensor for this shard and for each that follows, else up to its fair share of the bytes.
        let most = rest.len() - (shards - shard);
        let mut count = if shard == shards { most } else { 1 };
        written += rest[..count].iter().map(|(_, s)| size(s)).sum::<usize>();
        while count < most && written + size(&rest[count].1) <= total / shards * shard {
            written += size(&rest[count].1);
            count += 1;
        }
        let (now, later) = rest.split_at(count);
        write_shard(&dir.join(&file), now, shape.dtype, &mut pool)?;
        weight_map.extend(now.iter().map(|(name, _)| (name.clone(), file.clone().into())));
        rest = later;
    }
    if shards > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        fs::write(dir.join("model.safetensors.index.json"), serde_json::to_vec_pretty(&index)?)?;
    }
    fs::write(dir.join("config.json"), serde_json::to_vec_pretty(&shape.config()?)?)?;
    Ok(total as u64)
}

fn write_shard(path: &Path, tensors: &[(String, Vec<usize>)], dtype: ShapedDType, pool: &mut Pool) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    let header = header(tensors, dtype)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let mut chunk = Vec::with_capacity(CHUNK * 2);
    for (_, shape) in tensors {
        match shape.as_slice() {
            [rows, cols] => {
                for _ in 0..*rows {
                    chunk.extend_from_slice(pool.row(*cols));
                    if chunk.len() >= CHUNK {
                        file.write_all(&chunk)?;
                        chunk.clear();
                    }
                }
            }
            _ => (0..shape.iter().product()).for_each(|_| dtype.encode(1.0, &mut chunk)),
        }
    }
    file.write_all(&chunk)?;
    drop(file);
    fs::rename(&part, path)
}

/// The JSON header, padded to a multiple of 8 bytes.
fn header(tensors: &[(String, Vec<usize>)], dtype: ShapedDType) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|(name, shape)| {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bytes();
        (name.clone(), TensorInfo { dtype: dtype.dtype(), shape: shape.clone(), data_offsets: (start, end) })
    });
    let format = [("format".to_owned(), "pt".to_owned())].into();
    let metadata = Metadata::new(Some(format), infos.collect()).map_err(io::Error::other)?;
    let mut bytes = serde_json::to_vec(&metadata)?;
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

/// Encoded normal entries, once per scale.
struct Pool {
    scaled: Vec<Vec<u8>>,
    entries: usize,
    bytes: usize,
    rng: ChaCha8Rng,
}

impl Pool {
    fn new(shape: &Shape, seed: u64, nudge: f64) -> io::Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let entries = POOL.max(4 * shape.hidden.max(shape.ffn));
        let normal = Normal::new(0.0, SD).map_err(io::Error::other)?;
        // A generator of its own: the weights before the change are those of the pair's other half.
        let mut change = ChaCha8Rng::seed_from_u64(!seed);
        let nudges = Normal::new(0.0, nudge).map_err(io::Error::other)?;
        let mut scaled = vec![Vec::with_capacity(entries * shape.dtype.bytes()); SCALES.len()];
        for _ in 0..entries {
            let x = normal.sample(&mut rng);
            let dx = nudges.sample(&mut change);
            SCALES.iter().zip(&mut scaled).for_each(|(scale, pool)| shape.dtype.encode(x * scale + dx, pool));
        }
        Ok(Self { scaled, entries, bytes: shape.dtype.bytes(), rng })
    }

    fn row(&mut self, cols: usize) -> &[u8] {
        let scale = self.rng.random_range(0..SCALES.len());
        let start = self.rng.random_range(0..=self.entries - cols) * self.bytes;
        &self.scaled[scale][start..start + cols * self.bytes]
    }
}
