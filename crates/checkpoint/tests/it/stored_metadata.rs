//! Metadata of GGUF files to the byte.

use std::path::PathBuf;

use tomo_checkpoint::write::Gguf;
use tomo_checkpoint::{DType, GgufEntry, open};

fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures"))
}

/// The bytes of entries as a file has them.
fn as_in_a_file(entries: &[GgufEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend((entry.key().len() as u64).to_le_bytes());
        bytes.extend(entry.key().as_bytes());
        bytes.extend(entry.type_id().to_le_bytes());
        bytes.extend(entry.value());
        assert_eq!(entry.bytes(), 8 + entry.key().len() as u64 + 4 + entry.value().len() as u64);
    }
    bytes
}

#[test]
fn entries_are_the_bytes_of_files_that_others_wrote() {
    // Written by the gguf package and by llama.cpp's converter; metadata begins behind magic number, version and two counts.
    let mut seen = 0;
    let folders = ["llama_llama3", "gemma2_hub", "mixtral_hub", "phi3_longrope", "gpt2_hub", "qwen3_moe_hub"];
    let models = folders.map(|folder| fixtures().join("parity").join(folder).join("model.gguf"));
    for path in models.into_iter().chain([fixtures().join("decode/sample.gguf")]) {
        let file = std::fs::read(&path).unwrap();
        let metadata = open(&path).unwrap().gguf_metadata().unwrap().unwrap();
        let count = u64::from_le_bytes(file[16..24].try_into().unwrap());
        assert_eq!(metadata.entries.len() as u64, count, "{}", path.display());
        let entries = as_in_a_file(&metadata.entries);
        assert!(entries == file[24..24 + entries.len()], "{}", path.display());
        assert_eq!(metadata.alignment, 32);
        seen += entries.len();
    }
    assert!(seen > 5_000, "{seen} bytes");
}

#[test]
fn entries_keep_their_order_and_their_types() {
    let metadata = open(&fixtures().join("decode/sample.gguf")).unwrap().gguf_metadata().unwrap().unwrap();
    let found: Vec<(&str, u32)> = metadata.entries.iter().map(|entry| (entry.key(), entry.type_id())).collect();
    // tools/reference/decode_samples.py adds them in this order; numbers are those of `enum gguf_type`: 4 is u32, 6 f32, 7 a boolean,
    // 8 a text, 9 an array.
    let expected = [
        ("general.architecture", 8),
        ("llama.block_count", 4),
        ("llama.rope.freq_base", 6),
        ("tokenizer.ggml.tokens", 9),
        ("tokenizer.ggml.token_type", 9),
        ("tokenizer.ggml.add_bos_token", 7),
    ];
    for (key, kind) in expected {
        assert!(found.contains(&(key, kind)), "no {key} of type {kind} in {found:?}");
    }
    let places: Vec<_> = expected.iter().map(|(key, _)| found.iter().position(|(k, _)| k == key)).collect();
    assert!(places.is_sorted(), "{places:?}");
    let block_count = metadata.entries.iter().find(|entry| entry.key() == "llama.block_count").unwrap();
    assert_eq!((block_count.value(), block_count.unsigned()), (&[1, 0, 0, 0][..], Some(1)));
}

#[test]
fn a_split_file_has_the_metadata_of_its_first_part() {
    let dir = tempfile::tempdir().unwrap();
    for (no, tensor) in ["a", "b"].into_iter().enumerate() {
        let mut file = Gguf::new();
        if no == 0 {
            file.meta("general.architecture", "llama").meta("general.alignment", 64u32);
        }
        file.meta("split.no", no as u16).meta("split.count", 2u16);
        file.tensor(tensor, DType::F16, &[2], vec![0, 0x3c, 0, 0x40]).unwrap();
        std::fs::write(dir.path().join(format!("m-0000{}-of-00002.gguf", no + 1)), file.to_bytes().unwrap()).unwrap();
    }
    for part in ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"] {
        let source = open(&dir.path().join(part)).unwrap();
        let metadata = source.gguf_metadata().unwrap().unwrap();
        let keys: Vec<&str> = metadata.entries.iter().map(GgufEntry::key).collect();
        assert_eq!(keys, ["general.architecture", "general.alignment", "split.no", "split.count"], "{part}");
        assert_eq!(metadata.entries[2].value(), [0, 0], "{part}");
        assert_eq!(metadata.alignment, 64);
        let files: Vec<_> = source.files().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(files, ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
    }
}

#[test]
fn other_formats_have_none() {
    let source = open(&fixtures().join("decode/sample.safetensors")).unwrap();
    assert!(source.gguf_metadata().unwrap().is_none());
    assert_eq!(source.files().len(), 1);
}

#[test]
fn stored_bytes_are_there_for_types_that_cannot_be_decoded() {
    let source = open(&fixtures().join("decode/sample.safetensors")).unwrap();
    let file = std::fs::read(fixtures().join("decode/sample.safetensors")).unwrap();
    let mut bytes = Vec::new();
    // Three 64-bit integers; the header's length is in the first eight bytes, and `ids` comes first of the data or later.
    assert!(source.read("ids", 0..3, &mut bytes).unwrap());
    assert_eq!(bytes.len(), 24);
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&file[8..header]).unwrap();
    let start = header + json["ids"]["data_offsets"][0].as_u64().unwrap() as usize;
    assert_eq!(bytes, file[start..start + 24]);
    assert!(source.read("ids", 0..4, &mut bytes).is_err());
    assert!(source.decode("ids", 0..3, &mut [0.0; 3]).is_err());
}
