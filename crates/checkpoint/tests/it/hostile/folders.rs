use std::path::{Path, PathBuf};

use super::safetensors::file_bytes;
use super::{Case, place};

const INDEX: &str = "model.safetensors.index.json";

/// A safetensors file of the tensors called `names`, one byte each.
fn shard(names: &[&str]) -> Vec<u8> {
    let entry =
        |(i, name): (usize, &&str)| format!(r#""{name}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1);
    let entries: Vec<String> = names.iter().enumerate().map(entry).collect();
    file_bytes(format!("{{{}}}", entries.join(",")).as_bytes(), names.len())
}

fn write(dir: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// A folder of these files, opened as a folder.
fn folder(name: &'static str, files: Vec<(&'static str, Vec<u8>)>, says: &'static str) -> Case {
    let make = move |dir: &Path| {
        write(dir, &files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect::<Vec<_>>());
        dir.to_owned()
    };
    place(name, make, says)
}

/// A folder of one shard, `one.safetensors` with tensor `a`, and this index.
fn index(name: &'static str, index: &str, says: &'static str) -> Case {
    folder(name, vec![("one.safetensors", shard(&["a"])), (INDEX, index.as_bytes().to_vec())], says)
}

/// An index that says tensor `a` is in file `shard`.
fn pointing(name: &'static str, shard: &str, says: &'static str) -> Case {
    index(name, &format!(r#"{{"weight_map":{{"a":{shard}}}}}"#), says)
}

fn with_config(name: &'static str, config: Vec<u8>) -> Case {
    folder(name, vec![("model.safetensors", shard(&["a"])), ("config.json", config)], "config.json")
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = folders();
    all.extend(configs());
    all.extend(indices());
    all.extend(shard_names());
    all.extend(links());
    all
}

fn folders() -> Vec<Case> {
    vec![
        folder("empty folder", vec![], "no weights in this folder"),
        folder("folder of a config alone", vec![("config.json", b"{}".into())], "no weights in this folder"),
        folder("folder of a pickle", vec![("pytorch_model.bin", b"\x80\x02.".into())], "which can run any code"),
        folder(
            "two files, no index",
            vec![("a.safetensors", shard(&["a"])), ("b.safetensors", shard(&["b"]))],
            "is not clear",
        ),
        folder("two GGUF files", vec![("a.gguf", vec![0]), ("b.gguf", vec![0])], "is not clear"),
        folder("folder for a file", vec![("model.safetensors/x", vec![0])], "not a file"),
        folder("folder for a GGUF file", vec![("model.gguf/x", vec![0])], "not a file"),
        folder("folder for an index", vec![("model.safetensors.index.json/x", vec![0])], "not a file"),
        place("no such path", |dir| dir.join("nothing/here"), "cannot read"),
        place("a device", |_| PathBuf::from("/dev/zero"), "not a file"),
    ]
}

fn configs() -> Vec<Case> {
    let deep = r#"{"a":"#.repeat(100_000).into_bytes();
    vec![
        with_config("config cut", br#"{"model_type": "#.into()),
        with_config("config empty", vec![]),
        with_config("config a list", b"[]".into()),
        with_config("config not UTF-8", b"{\"a\":\"\xff\"}".into()),
        with_config("config deep", deep),
        with_config("config of 3 MB", format!("{{\"a\":[{}1]}}", "1,".repeat(3 << 19)).into_bytes()),
        folder("config a folder", vec![("model.safetensors", shard(&["a"])), ("config.json/x", vec![0])], "not a file"),
    ]
}

fn indices() -> Vec<Case> {
    let deep = "[".repeat(100_000);
    let mut many = String::from(r#"{"weight_map":{"#);
    (0..5000).for_each(|i| many += &format!(r#""{i}":"{i}.safetensors","#));
    let mut crowd = String::from(r#"{"weight_map":{"#);
    (0..=1 << 18).for_each(|i| crowd += &format!(r#""{i}":"one.safetensors","#));
    let same = vec![
        ("one.safetensors", shard(&["a", "b"])),
        ("two.safetensors", shard(&["b", "c"])),
        (INDEX, br#"{"weight_map":{"a":"one.safetensors","c":"two.safetensors"}}"#.to_vec()),
    ];
    vec![
        index("index not JSON", "hello", "not as it should be"),
        index("index empty", "", "the file is empty"),
        index("index a list", "[]", "not as it should be"),
        index("index without a map", "{}", "weight_map"),
        index("index with an empty map", r#"{"weight_map":{}}"#, "no tensors"),
        index("index with two maps", r#"{"weight_map":{},"weight_map":{}}"#, "duplicate"),
        index("index of numbers", r#"{"weight_map":{"a":1}}"#, "expected a string"),
        index("index deep", &format!(r#"{{"weight_map":{deep}"#), "not as it should be"),
        index("index deep beside the map", &format!(r#"{{"metadata":{deep}"#), "not as it should be"),
        index("index with a tensor twice", r#"{"weight_map":{"a":"one.safetensors","a":"one.safetensors"}}"#, "twice"),
        index(
            "index with a tensor in two files",
            r#"{"weight_map":{"a":"one.safetensors","a":"b.safetensors"}}"#,
            "twice",
        ),
        index("index of a tensor that is not there", r#"{"weight_map":{"b":"one.safetensors"}}"#, "does not have"),
        index("index of 5000 files", &many, "more than 4096 files"),
        index("index of a crowd", &crowd, "more than 262144 tensors"),
        index("index cut", r#"{"weight_map":{"a":"one.safetensors""#, "not as it should be"),
        folder("one tensor in two shards", same, "two files hold"),
    ]
}

fn shard_names() -> Vec<Case> {
    vec![
        pointing("shard absolute", r#""/etc/passwd.safetensors""#, "cannot be a shard"),
        pointing("shard above", r#""../one.safetensors""#, "cannot be a shard"),
        pointing("shard above, hidden", r#""a/../../one.safetensors""#, "cannot be a shard"),
        pointing("shard from here", r#""./one.safetensors""#, "cannot be a shard"),
        pointing("shard on another system", r#""..\\one.safetensors""#, "cannot be a shard"),
        pointing("shard on a drive", r#""C:one.safetensors""#, "cannot be a shard"),
        pointing("shard is the index itself", r#""model.safetensors.index.json""#, "cannot be a shard"),
        pointing("shard without a name", r#""""#, "cannot be a shard"),
        pointing("shard is the folder", r#"".""#, "cannot be a shard"),
        pointing("shard with control characters", r#""\u001b[2J.safetensors""#, "cannot be a shard"),
        pointing("shard with a null", r#""one\u0000.safetensors""#, "cannot be a shard"),
        pointing("shard a pickle", r#""pytorch_model.bin""#, "which can run any code"),
        pointing("shard of another kind", r#""one.gguf""#, "cannot be a shard"),
        pointing("shard absent", r#""two.safetensors""#, "download is probably incomplete"),
        pointing("shard with a long name", &format!("\"{}.safetensors\"", "a".repeat(5000)), "cannot read"),
    ]
}

#[cfg(unix)]
fn links() -> Vec<Case> {
    use std::os::unix::fs::symlink;
    vec![
        place(
            "link to nothing",
            |dir| {
                symlink("nowhere", dir.join("model.safetensors")).unwrap();
                dir.join("model.safetensors")
            },
            "cannot read",
        ),
        place(
            "link to itself",
            |dir| {
                symlink("model.safetensors", dir.join("model.safetensors")).unwrap();
                dir.join("model.safetensors")
            },
            "cannot read",
        ),
        place(
            "link to itself, in a folder",
            |dir| {
                symlink("model.safetensors", dir.join("model.safetensors")).unwrap();
                dir.to_owned()
            },
            "cannot read",
        ),
        place(
            "shard a link to itself",
            |dir| {
                write(dir, &[(INDEX, br#"{"weight_map":{"a":"one.safetensors"}}"#)]);
                symlink("one.safetensors", dir.join("one.safetensors")).unwrap();
                dir.to_owned()
            },
            "cannot read",
        ),
        place(
            "shard a link to a device",
            |dir| {
                write(dir, &[(INDEX, br#"{"weight_map":{"a":"one.safetensors"}}"#)]);
                symlink("/dev/zero", dir.join("one.safetensors")).unwrap();
                dir.to_owned()
            },
            "not a file",
        ),
        place(
            "config a link to itself",
            |dir| {
                write(dir, &[("model.safetensors", &shard(&["a"]))]);
                symlink("config.json", dir.join("config.json")).unwrap();
                dir.to_owned()
            },
            "config.json",
        ),
    ]
}

#[cfg(not(unix))]
fn links() -> Vec<Case> {
    Vec::new()
}
