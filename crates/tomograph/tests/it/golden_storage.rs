//! The same weights, stored in other ways. Files are written with the `safetensors` crate and, for GGUF, byte by byte from the
//! format's description: nothing of what is tested takes part in writing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tomo_map::{CellId, Component, Map};
use tomograph::scan::{Request, Silent, scan};

/// Every metric of the checkpoint at `path`, integer formats in groups of `group`.
pub(crate) fn map_of(path: &Path, group: usize) -> Map {
    let mut request = Request::new(path).metrics("all").unwrap();
    request.options.group = group;
    scan(&request, &Silent).unwrap()
}

/// A matrix or vector in f32; what is written as bf16 has to fit it exactly.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// A llama-family checkpoint in memory: tensors by their Hugging Face name, and `config.json`.
pub(crate) struct Checkpoint {
    pub(crate) tensors: BTreeMap<String, Tensor>,
    pub(crate) config: Value,
}

impl Checkpoint {
    /// The cells of SmolLM2 as our reader decodes them from the GGUF file `path`, under Hugging Face's names. That they are decoded
    /// right is what the golden values show; here it only matters that every copy holds the same numbers.
    pub(crate) fn from_smollm2(path: &Path) -> Self {
        let model = tomograph::scan::open(path, &[]).unwrap();
        let mut tensors = BTreeMap::new();
        for (index, cell) in model.grid().cells.iter().enumerate() {
            let mut values = Vec::new();
            model.load(index, &mut values).unwrap();
            let shape = [cell.out_features, cell.in_features].map(|d| usize::try_from(d).unwrap()).to_vec();
            tensors.insert(hugging_face_name(cell.id), Tensor { shape, values });
        }
        let config = json!({
            "model_type": "llama",
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "vocab_size": 49152,
            "tie_word_embeddings": true,
        });
        Self { tensors, config }
    }

    /// Reads a Hugging Face folder whose single safetensors file is in bf16, without our own reader.
    pub(crate) fn read_bf16(folder: &Path) -> Self {
        let bytes = fs::read(folder.join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file
            .iter()
            .map(|(name, view)| {
                assert_eq!(view.dtype(), Dtype::BF16, "{name}");
                (name.to_owned(), Tensor { shape: view.shape().to_vec(), values: from_bf16(view.data()) })
            })
            .collect();
        let config = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
        Self { tensors, config }
    }

    /// One safetensors file in f32.
    pub(crate) fn write_f32(&self, folder: &Path) -> PathBuf {
        self.write_config(folder);
        let all: Vec<&String> = self.tensors.keys().collect();
        self.write_file(&folder.join("model.safetensors"), &all, Dtype::F32);
        folder.to_owned()
    }

    /// `count` safetensors files and their index; tensors are dealt out like cards, so that every layer is torn apart.
    pub(crate) fn write_shards(&self, folder: &Path, count: usize) -> PathBuf {
        self.write_config(folder);
        let mut index = BTreeMap::new();
        for shard in 0..count {
            let file = format!("model-{:05}-of-{count:05}.safetensors", shard + 1);
            let names: Vec<&String> = self.tensors.keys().skip(shard).step_by(count).collect();
            index.extend(names.iter().map(|n| ((*n).clone(), file.clone())));
            self.write_file(&folder.join(&file), &names, Dtype::F32);
        }
        let total: usize = self.tensors.values().map(|t| 4 * t.values.len()).sum();
        let index = json!({"metadata": {"total_size": total}, "weight_map": index});
        fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
        folder.to_owned()
    }

    /// The phi3 layout: q, k and v in one tensor, gate and up in another.
    pub(crate) fn write_phi3(&self, folder: &Path) -> PathBuf {
        let mut fused = Self { tensors: self.tensors.clone(), config: self.config.clone() };
        fused.config["model_type"] = json!("phi3");
        fused.config["architectures"] = json!(["Phi3ForCausalLM"]);
        for layer in 0..self.config["num_hidden_layers"].as_u64().unwrap() {
            let at = format!("model.layers.{layer}");
            let attention = ["q_proj", "k_proj", "v_proj"].map(|p| format!("{at}.self_attn.{p}.weight"));
            fused.fuse(&attention, format!("{at}.self_attn.qkv_proj.weight"));
            let mlp = ["gate_proj", "up_proj"].map(|p| format!("{at}.mlp.{p}.weight"));
            fused.fuse(&mlp, format!("{at}.mlp.gate_up_proj.weight"));
        }
        fused.write_f32(folder)
    }

    /// Puts the rows of `parts` under one another as one tensor.
    fn fuse(&mut self, parts: &[String], whole: String) {
        let parts: Vec<Tensor> = parts.iter().map(|p| self.tensors.remove(p).unwrap()).collect();
        let shape = vec![parts.iter().map(|t| t.shape[0]).sum(), parts[0].shape[1]];
        self.tensors.insert(whole, Tensor { shape, values: parts.into_iter().flat_map(|t| t.values).collect() });
    }

    /// A GGUF file of type BF16 with llama.cpp's names and its order of the rows of q and k.
    pub(crate) fn write_gguf(&self, path: &Path) -> PathBuf {
        let heads = self.count("num_attention_heads");
        let kv_heads = self.count("num_key_value_heads");
        let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = self
            .tensors
            .iter()
            .map(|(name, t)| {
                let heads = match name {
                    n if n.ends_with("q_proj.weight") => Some(heads),
                    n if n.ends_with("k_proj.weight") => Some(kv_heads),
                    _ => None,
                };
                let values = heads.map_or_else(|| t.values.clone(), |h| rotary_order(t, h));
                (gguf_name(name), t.shape.clone(), values)
            })
            .collect();
        fs::write(path, gguf_bytes(&self.gguf_metadata(), &tensors)).unwrap();
        path.to_owned()
    }

    fn count(&self, key: &str) -> usize {
        usize::try_from(self.config[key].as_u64().unwrap()).unwrap()
    }

    fn gguf_metadata(&self) -> Vec<(String, GgufValue)> {
        let number = |key: &str, from: &str| (format!("llama.{key}"), GgufValue::U32(self.count(from) as u32));
        vec![
            ("general.architecture".into(), GgufValue::Text("llama".into())),
            number("block_count", "num_hidden_layers"),
            number("context_length", "max_position_embeddings"),
            number("embedding_length", "hidden_size"),
            number("feed_forward_length", "intermediate_size"),
            number("attention.head_count", "num_attention_heads"),
            number("attention.head_count_kv", "num_key_value_heads"),
            number("attention.key_length", "head_dim"),
            number("attention.value_length", "head_dim"),
            number("rope.dimension_count", "head_dim"),
            number("vocab_size", "vocab_size"),
            ("llama.rope.freq_base".into(), GgufValue::F32(10_000.0)),
            ("llama.attention.layer_norm_rms_epsilon".into(), GgufValue::F32(1e-5)),
        ]
    }

    fn write_config(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
    }

    fn write_file(&self, path: &Path, names: &[&String], dtype: Dtype) {
        let bytes: Vec<Vec<u8>> =
            names.iter().map(|n| self.tensors[*n].values.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
        let views = names
            .iter()
            .zip(&bytes)
            .map(|(n, b)| (*n, TensorView::new(dtype, self.tensors[*n].shape.clone(), b).unwrap()));
        safetensors::serialize_to_file(views, None, path).unwrap();
    }
}

/// bf16 is the upper half of an f32.
fn from_bf16(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|b| f32::from_le_bytes([0, 0, b[0], b[1]])).collect()
}

/// Rows as llama.cpp's converter orders them for its rotary embedding: the halves of every head interleaved.
fn rotary_order(t: &Tensor, heads: usize) -> Vec<f32> {
    let (rows, cols) = (t.shape[0], t.shape[1]);
    let width = rows / heads;
    let row_from = |row: usize| {
        let (head, at) = (row / width, row % width);
        head * width + (at % 2) * (width / 2) + at / 2
    };
    (0..rows).flat_map(|row| &t.values[row_from(row) * cols..][..cols]).copied().collect()
}

fn hugging_face_name(id: CellId) -> String {
    let part = match id.component {
        Component::AttnQ => "self_attn.q_proj",
        Component::AttnK => "self_attn.k_proj",
        Component::AttnV => "self_attn.v_proj",
        Component::AttnO => "self_attn.o_proj",
        Component::MlpUp => "mlp.up_proj",
        Component::MlpDown => "mlp.down_proj",
        Component::MlpGate => "mlp.gate_proj",
    };
    format!("model.layers.{}.{part}.weight", id.layer)
}

fn gguf_name(name: &str) -> String {
    match name {
        "model.embed_tokens.weight" => return "token_embd.weight".into(),
        "model.norm.weight" => return "output_norm.weight".into(),
        _ => {}
    }
    let mut parts = name.strip_prefix("model.layers.").unwrap().splitn(2, '.');
    let layer = parts.next().unwrap();
    let part = match parts.next().unwrap().strip_suffix(".weight").unwrap() {
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        "mlp.gate_proj" => "ffn_gate",
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" => "ffn_norm",
        other => panic!("no GGUF name for {other}"),
    };
    format!("blk.{layer}.{part}.weight")
}

/// The metadata values that are needed here, of the thirteen that GGUF has.
enum GgufValue {
    U32(u32),
    F32(f32),
    Text(String),
}

/// A GGUF version 3 file: header, metadata, tensor descriptions, then data, each tensor on a multiple of 32 bytes.
fn gguf_bytes(metadata: &[(String, GgufValue)], tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    const ALIGNMENT: usize = 32;
    const BF16: u32 = 30;
    const F32: u32 = 0;
    fn text(out: &mut Vec<u8>, s: &str) {
        out.extend((s.len() as u64).to_le_bytes());
        out.extend(s.as_bytes());
    }
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        match value {
            GgufValue::U32(x) => {
                out.extend(4_u32.to_le_bytes());
                out.extend(x.to_le_bytes());
            }
            GgufValue::F32(x) => {
                out.extend(6_u32.to_le_bytes());
                out.extend(x.to_le_bytes());
            }
            GgufValue::Text(s) => {
                out.extend(8_u32.to_le_bytes());
                text(&mut out, s);
            }
        }
    }
    let mut data = Vec::new();
    for (name, shape, values) in tensors {
        text(&mut out, name);
        out.extend((shape.len() as u32).to_le_bytes());
        // GGUF lists the fastest dimension first.
        out.extend(shape.iter().rev().flat_map(|&d| (d as u64).to_le_bytes()));
        // As in real files: matrices in the file's type, norms in f32.
        let kind = if shape.len() > 1 { BF16 } else { F32 };
        out.extend(kind.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        let first = if kind == BF16 { 2 } else { 0 };
        data.extend(values.iter().flat_map(|x| x.to_le_bytes().into_iter().skip(first)));
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out.extend(data);
    out
}
