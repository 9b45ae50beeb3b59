//! Files that the `safetensors` and `gguf` packages wrote (tools/reference/decode_samples.py, which prints the values).

use std::path::PathBuf;

use tomo_checkpoint::{Config, DType, MetaValue, open};

fn sample(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/decode")).join(name)
}

fn last_three(file: &str, tensor: &str) -> Vec<f32> {
    let source = open(&sample(file)).unwrap();
    assert_eq!(source.tensor(tensor).unwrap().shape, [4, 32]);
    let mut out = [0.0; 32];
    source.decode(tensor, 96..128, &mut out).unwrap();
    out[29..].to_vec()
}

const NORM: [f32; 4] = [0.185_971_53, -1.089_491_4, -0.171_901_35, 0.951_514_6];

#[test]
fn safetensors_of_the_safetensors_package() {
    let source = open(&sample("sample.safetensors")).unwrap();
    let listed: Vec<_> = source.tensors().iter().map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice())).collect();
    assert_eq!(
        listed,
        [
            ("ids", DType::I64, [3].as_slice()),
            ("model.layers.0.self_attn.k_proj.weight", DType::F8_E4M3, &[4, 32]),
            ("model.layers.0.self_attn.q_proj.weight", DType::BF16, &[4, 32]),
            ("model.norm.weight", DType::F32, &[4]),
        ]
    );
    let file = "sample.safetensors";
    assert_eq!(last_three(file, "model.layers.0.self_attn.q_proj.weight"), [-2.328125, 0.21484375, 1.5625]);
    assert_eq!(last_three(file, "model.layers.0.self_attn.k_proj.weight"), [-2.25, 0.21875, 1.5]);
    let mut norm = [0.0; 4];
    source.decode("model.norm.weight", 0..4, &mut norm).unwrap();
    assert_eq!(norm, NORM);
}

#[test]
fn gguf_of_the_gguf_package() {
    let source = open(&sample("sample.gguf")).unwrap();
    let listed: Vec<_> = source.tensors().iter().map(|t| (t.name.as_str(), t.dtype, t.bytes)).collect();
    assert_eq!(
        listed,
        [
            ("blk.0.attn_k.weight", DType::Q4_0, 72),
            ("blk.0.attn_q.weight", DType::Q8_0, 136),
            ("output_norm.weight", DType::F32, 16),
        ]
    );
    assert_eq!(last_three("sample.gguf", "blk.0.attn_q.weight"), [-2.328_033_4, 0.211_639_4, 1.566_131_6]);
    assert_eq!(last_three("sample.gguf", "blk.0.attn_k.weight"), [-2.3515625, 0.3359375, 1.6796875]);
    let Config::Gguf(meta) = source.config() else { panic!("no metadata") };
    assert_eq!(meta["general.architecture"], MetaValue::Text("llama".into()));
    assert_eq!(meta["llama.block_count"], MetaValue::Unsigned(1));
    assert_eq!(meta["llama.rope.freq_base"], MetaValue::Float(10000.0));
    assert_eq!(meta["tokenizer.ggml.add_bos_token"], MetaValue::Bool(true));
    let texts = ["<s>", "a", "b"].map(|t| MetaValue::Text(t.into()));
    assert_eq!(meta["tokenizer.ggml.tokens"], MetaValue::Array(texts.to_vec()));
    let types = [3, 1, 1].map(MetaValue::Signed);
    assert_eq!(meta["tokenizer.ggml.token_type"], MetaValue::Array(types.to_vec()));
}
