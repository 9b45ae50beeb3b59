//! Checkpoints that are as they should be.

use std::path::Path;

use tomo_checkpoint::write::Gguf;
use tomo_checkpoint::{Config, DType, ErrorKind, Format, MetaValue, open};

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn safetensors_bytes(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    let data: Vec<_> = tensors.iter().map(|(name, values)| (*name, values.len(), f32_bytes(values))).collect();
    let views = data.iter().map(|(name, length, bytes)| {
        (*name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1, *length], bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn values(path: &Path, tensor: &str) -> Vec<f32> {
    let source = open(path).unwrap();
    let n = source.tensor(tensor).unwrap().numel();
    let mut out = vec![0.0; n as usize];
    source.decode(tensor, 0..n, &mut out).unwrap();
    out
}

#[test]
fn bare_safetensors_with_and_without_config() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    std::fs::write(&path, safetensors_bytes(&[("b", &[3.0, 4.0]), ("a", &[1.0, 2.0])])).unwrap();
    let source = open(&path).unwrap();
    assert_eq!(source.format(), Format::Safetensors);
    assert_eq!(*source.config(), Config::Absent);
    assert_eq!(source.tensors().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(values(&path, "a"), [1.0, 2.0]);
    assert_eq!(values(&path, "b"), [3.0, 4.0]);

    std::fs::write(dir.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    let Config::HuggingFace(config) = open(&path).unwrap().config().clone() else { panic!("no config") };
    assert_eq!(config["model_type"], "llama");
}

#[test]
fn folder_and_shards_and_gguf_hold_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let single = dir.path().join("single");
    let shards = dir.path().join("shards");
    std::fs::create_dir(&single).unwrap();
    std::fs::create_dir(&shards).unwrap();
    std::fs::write(single.join("model.safetensors"), safetensors_bytes(&[("a", &[1.0, 2.0]), ("b", &[3.0])])).unwrap();
    std::fs::write(shards.join("model-00001-of-00002.safetensors"), safetensors_bytes(&[("b", &[3.0])])).unwrap();
    std::fs::write(shards.join("model-00002-of-00002.safetensors"), safetensors_bytes(&[("a", &[1.0, 2.0])])).unwrap();
    let index = r#"{"metadata": {"total_size": 12}, "weight_map":
        {"a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors"}}"#;
    std::fs::write(shards.join("model.safetensors.index.json"), index).unwrap();
    let mut file = Gguf::new();
    file.meta("general.architecture", "llama").meta("n", 7u32).meta("xs", vec![1.5f32, -2.0]);
    file.tensor("b", DType::F32, &[1, 1], f32_bytes(&[3.0])).unwrap();
    file.tensor("a", DType::F32, &[1, 2], f32_bytes(&[1.0, 2.0])).unwrap();
    let gguf = dir.path().join("model.gguf");
    std::fs::write(&gguf, file.to_bytes().unwrap()).unwrap();

    for (path, format) in [(&single, Format::Safetensors), (&shards, Format::ShardedSafetensors), (&gguf, Format::Gguf)]
    {
        assert_eq!(open(path).unwrap().format(), format);
        assert_eq!(values(path, "a"), [1.0, 2.0], "{format}");
        assert_eq!(values(path, "b"), [3.0], "{format}");
    }
    assert_eq!(open(&single).unwrap().digest().unwrap(), open(&shards).unwrap().digest().unwrap());
    let source = open(&gguf).unwrap();
    let Config::Gguf(meta) = source.config() else { panic!("no metadata") };
    assert_eq!(meta["general.architecture"], MetaValue::Text("llama".into()));
    assert_eq!(meta["n"], MetaValue::Unsigned(7));
    assert_eq!(meta["xs"], MetaValue::Array(vec![MetaValue::Float(1.5), MetaValue::Float(-2.0)]));
}

#[test]
fn absent_path_suggests_a_neighbour() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.gguf"), b"GGUF").unwrap();
    let error = open(&dir.path().join("modle.gguf")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("did you mean \"model.gguf\"?"), "{error}");
}
