//! The model's shape, its weights before training, and its files.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use half::bf16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::draw::Draw;
use super::texts::{SEPARATOR, VOCAB};

/// L.
pub(crate) const LAYERS: usize = 28;
/// How a tokenizer spells [`SEPARATOR`].
const SEPARATOR_TEXT: &str = "<|endoftext|>";

/// D, H, K, C, F.
const HIDDEN: usize = 64;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 16;
const FFN: usize = 128;
/// The longest sequence the config promises.
const CONTEXT: usize = 512;

/// A tensor in f32.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// All weights, by the names that transformers gives them.
pub(crate) type Weights = BTreeMap<String, Tensor>;

/// Weights before training: normal, of variance one over the width that is read, and what is added to the residual stream
/// smaller by sqrt(2 L), so that 56 additions leave it at its size.
pub(crate) fn initial(seed: u64) -> Weights {
    let deep = 1.0 / ((2 * LAYERS) as f64).sqrt();
    let mut weights = Weights::new();
    let mut draw = Draw::new(seed, 0);
    let mut add = |name: String, rows: usize, columns: usize, gain: f64| {
        let deviation = gain / (columns as f64).sqrt();
        #[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
        let values = (0..rows * columns).map(|_| (deviation * draw.normal()) as f32).collect();
        weights.insert(name, Tensor { shape: vec![rows, columns], values });
    };
    add("model.embed_tokens.weight".into(), VOCAB, HIDDEN, 1.0);
    add("lm_head.weight".into(), VOCAB, HIDDEN, 0.5);
    for layer in 0..LAYERS {
        for (name, rows, columns, gain) in [
            ("self_attn.q_proj", HEADS * HEAD_DIM, HIDDEN, 1.0),
            ("self_attn.k_proj", KV_HEADS * HEAD_DIM, HIDDEN, 1.0),
            ("self_attn.v_proj", KV_HEADS * HEAD_DIM, HIDDEN, 1.0),
            ("self_attn.o_proj", HIDDEN, HEADS * HEAD_DIM, deep),
            ("mlp.up_proj", FFN, HIDDEN, 1.0),
            ("mlp.down_proj", HIDDEN, FFN, deep),
            ("mlp.gate_proj", FFN, HIDDEN, 1.0),
        ] {
            add(format!("model.layers.{layer}.{name}.weight"), rows, columns, gain);
        }
    }
    let norms = (0..LAYERS).flat_map(|layer| {
        ["input_layernorm", "post_attention_layernorm"].map(|name| format!("model.layers.{layer}.{name}.weight"))
    });
    for name in norms.chain(["model.norm.weight".to_owned()]) {
        weights.insert(name, Tensor { shape: vec![HIDDEN], values: vec![1.0; HIDDEN] });
    }
    weights
}

/// The weights rounded to bf16, as f32.
pub(crate) fn rounded(weights: &Weights) -> Weights {
    let round = |tensor: &Tensor| Tensor {
        shape: tensor.shape.clone(),
        values: tensor.values.iter().map(|x| bf16::from_f32(*x).to_f32()).collect(),
    };
    weights.iter().map(|(name, tensor)| (name.clone(), round(tensor))).collect()
}

/// Writes the checkpoint to `folder`, weights in f32 or rounded to bf16.
pub(crate) fn write(weights: &Weights, dtype: Dtype, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("model.safetensors"), to_bytes(weights, dtype)?)?;
    let name = if dtype == Dtype::BF16 { "bfloat16" } else { "float32" };
    fs::write(folder.join("config.json"), serde_json::to_vec_pretty(&config(name))?)?;
    fs::write(folder.join("tokenizer.json"), serde_json::to_vec_pretty(&tokenizer())?)?;
    Ok(())
}

fn to_bytes(weights: &Weights, dtype: Dtype) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let encode = |tensor: &Tensor| -> Vec<u8> {
        match dtype {
            Dtype::BF16 => tensor.values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
            _ => tensor.values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    };
    let encoded: Vec<_> = weights.iter().map(|(name, tensor)| (name, &tensor.shape, encode(tensor))).collect();
    let views = encoded.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(dtype, (*shape).clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    safetensors::serialize(views, Some([("format".to_owned(), "pt".to_owned())].into()))
}

/// The config of weights in `dtype`.
pub(crate) fn config(dtype: &str) -> Value {
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
        "max_position_embeddings": CONTEXT,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": null,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": false,
        "bos_token_id": SEPARATOR,
        "eos_token_id": SEPARATOR,
        "torch_dtype": dtype,
    })
}

/// The tokenizer: byte b is token b. Byte-level tokenizers write bytes as printable characters, those that are printable in
/// Latin-1 as themselves and the others, in order, from U+0100 on; pairs are never merged.
fn tokenizer() -> Value {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 0x100..;
    let symbols = (0..256).map(|byte| if printable(byte) { Some(byte) } else { others.next() });
    let symbols = symbols.map(|code| code.and_then(char::from_u32).unwrap_or_default().to_string());
    let vocabulary: serde_json::Map<String, Value> = symbols.zip(0..).map(|(s, id): (_, u32)| (s, id.into())).collect();
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": SEPARATOR, "content": SEPARATOR_TEXT, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }],
        "normalizer": null,
        "pre_tokenizer": bytes,
        "post_processor": null,
        "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [],
        },
    })
}
