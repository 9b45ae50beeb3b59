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

/// The hub's cache keeps files under `blobs/` and a revision's names as links to them.
#[cfg(unix)]
#[test]
fn links_of_the_hub_cache_are_followed() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (dir.path().join("blobs"), dir.path().join("snapshots/0123"));
    std::fs::create_dir(&blobs).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    let index = r#"{"weight_map": {"a": "one.safetensors"}}"#;
    let files = [
        ("one.safetensors", safetensors_bytes(&[("a", &[5.0])])),
        ("model.safetensors.index.json", index.into()),
        ("config.json", br#"{"model_type": "llama"}"#.to_vec()),
    ];
    for (i, (name, bytes)) in files.iter().enumerate() {
        std::fs::write(blobs.join(i.to_string()), bytes).unwrap();
        symlink(format!("../../blobs/{i}"), snapshot.join(name)).unwrap();
    }
    assert_eq!(values(&snapshot, "a"), [5.0]);
    assert!(matches!(open(&snapshot).unwrap().config(), Config::HuggingFace(_)));
    assert_eq!(values(&snapshot.join("model.safetensors.index.json"), "a"), [5.0]);
}

/// Other tools leave more in the folder; transformers reads the single file when there is also an index.
#[test]
fn the_one_file_is_found_among_others() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pytorch_model.bin"), b"\x80\x02.").unwrap();
    std::fs::write(dir.path().join("tokenizer.json"), b"{}").unwrap();
    std::fs::write(dir.path().join("other.safetensors"), safetensors_bytes(&[("b", &[1.0])])).unwrap();
    assert_eq!(values(dir.path(), "b"), [1.0]);
    std::fs::write(dir.path().join("model.safetensors"), safetensors_bytes(&[("a", &[2.0])])).unwrap();
    std::fs::write(dir.path().join("model.safetensors.index.json"), "not read").unwrap();
    assert_eq!(values(dir.path(), "a"), [2.0]);
}

#[cfg(target_os = "linux")]
#[test]
fn released_pages_leave_memory() {
    // What this file's own map holds, so that tests beside this one do not count.
    let resident = || {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let own = maps.split_once("released_pages.gguf").unwrap().1;
        let line = own.lines().find(|l| l.starts_with("Rss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    };
    const BYTES: usize = 16 << 20;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("released_pages.gguf");
    let mut file = Gguf::new();
    file.tensor("w", DType::F32, &[1, BYTES as u64 / 4], vec![0; BYTES]).unwrap();
    std::fs::write(&path, file.to_bytes().unwrap()).unwrap();
    let source = open(&path).unwrap();
    let n = source.tensors()[0].numel();
    // Not a multiple of a page, so that ranges end within pages.
    let mut out = vec![0.0; 50_001];
    let mut most_resident = |is_released: bool| {
        let mut most = 0;
        for start in (0..n).step_by(out.len()) {
            let range = start..n.min(start + out.len() as u64);
            source.decode("w", range.clone(), &mut out[..(range.end - start) as usize]).unwrap();
            if is_released {
                source.release("w", range);
            }
            most = most.max(resident());
        }
        most
    };
    let (released, kept) = (most_resident(true), most_resident(false));
    assert!(released <= 1 << 20, "{released} bytes stayed");
    assert!(kept >= BYTES, "without release all stays, but {kept} bytes did");
}
