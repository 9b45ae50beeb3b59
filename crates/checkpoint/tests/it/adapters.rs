//! Folders of adapters: which are recognised, and what is said of those that cannot be read.

use std::path::Path;

use tomo_checkpoint::open_adapter;

/// A safetensors file of one value.
fn weights() -> Vec<u8> {
    let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat()
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn refusal(files: &[(&str, &[u8])], open: &str) -> String {
    let dir = folder(files);
    match open_adapter(&dir.path().join(open)) {
        Err(error) => error.to_string(),
        Ok(found) => panic!("{files:?}: {}", if found.is_some() { "opened" } else { "no adapter" }),
    }
}

#[test]
fn a_folder_and_either_of_its_files() {
    let dir =
        folder(&[("adapter_config.json", b"{}"), ("adapter_model.safetensors", &weights()), ("other.json", b"{}")]);
    for name in ["", "adapter_config.json", "adapter_model.safetensors"] {
        let files = open_adapter(&dir.path().join(name)).unwrap().unwrap();
        assert_eq!((files.config.as_slice(), files.source.tensors().len()), (&b"{}"[..], 1), "{name}");
    }
    assert!(open_adapter(&dir.path().join("other.json")).unwrap().is_none());
}

#[test]
fn what_is_no_adapter() {
    let dir = folder(&[("model.safetensors", &weights()), ("config.json", b"{}")]);
    for path in [dir.path(), &dir.path().join("model.safetensors"), Path::new("nowhere")] {
        assert!(open_adapter(path).unwrap().is_none(), "{}", path.display());
    }
}

#[test]
fn what_cannot_be_read() {
    let config = ("adapter_config.json", &b"{}"[..]);
    let error = refusal(&[config, ("adapter_model.bin", b"PK\x03\x04")], "");
    assert!(error.contains("a pickle file, which can run any code") && error.contains("PeftModel"), "{error}");
    let error = refusal(&[config], "");
    assert!(error.contains("no weights") && error.contains("adapter_model.safetensors"), "{error}");
    let error = refusal(&[config, ("adapter_model.safetensors", b"garbage")], "");
    assert!(error.contains("too short"), "{error}");
    let error = refusal(&[("adapter_model.safetensors", &weights())], "adapter_model.safetensors");
    assert!(error.contains("no configuration") && error.contains("adapter_config.json"), "{error}");
    let both = [config, ("adapter_model.safetensors", &weights()[..]), ("model.safetensors", &weights())];
    let error = refusal(&both, "");
    assert!(error.contains("an adapter and a whole model") && error.contains("model.safetensors"), "{error}");
    let long = vec![b' '; (2 << 20) + 1];
    let error = refusal(&[("adapter_config.json", &long), ("adapter_model.safetensors", &weights())], "");
    assert!(error.contains("too long"), "{error}");
}
