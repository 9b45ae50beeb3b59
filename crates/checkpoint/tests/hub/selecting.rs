use std::fs;

use tomo_checkpoint::ErrorKind;
use tomo_checkpoint::hub::is_repo_id;

use crate::Client;
use crate::server::{CONFIG, File, Hub, SHARD_1, ggufs, sharded};

/// Names of the files that a fetch of `spec` brings, and the name of what is opened.
fn brought(files: Vec<File>, spec: &str) -> (Vec<String>, String) {
    let hub = Hub::new(files);
    let client = Client::new(&hub);
    let path = client.fetch(spec).unwrap();
    let name = |f: &String| f.strip_prefix("snapshots/")?.split_once('/').map(|(_, name)| name.to_owned());
    let opened =
        if path.is_dir() { "folder".to_owned() } else { path.file_name().unwrap().to_str().unwrap().to_owned() };
    (client.files().iter().filter_map(name).collect(), opened)
}

fn refused(files: Vec<File>, spec: &str, kind: ErrorKind) -> String {
    Client::new(&Hub::new(files)).refusal(spec, kind)
}

const QUANTS: [&str; 6] = [
    "README.gguf.md",
    "mmproj-model-f16.gguf",
    "model-IQ4_K_M.gguf",
    "model-Q4_K.gguf",
    "model-Q4_K_M.gguf",
    "big/model-Q8_0.gguf",
];

#[test]
fn one_gguf_file_is_chosen_by_the_end_of_its_name_or_by_name() {
    let cases = [
        ("org/name:Q4_K_M", "model-Q4_K_M.gguf"),
        ("org/name:q4_k_m", "model-Q4_K_M.gguf"),
        ("org/name:Q4_K", "model-Q4_K.gguf"),
        ("org/name:model-IQ4_K_M", "model-IQ4_K_M.gguf"),
        ("org/name@main:Q4_K", "model-Q4_K.gguf"),
        ("org/name:Q4_K@v1", "model-Q4_K.gguf"),
        ("org/name/model-Q4_K.gguf", "model-Q4_K.gguf"),
        ("org/name/mmproj-model-f16.gguf@refs/pr/1", "mmproj-model-f16.gguf"),
    ];
    for (spec, file) in cases {
        let (files, opened) = brought(ggufs(&QUANTS), spec);
        assert_eq!(files, [file], "{spec}");
        assert_eq!(opened, file, "{spec}");
    }
    assert_eq!(
        brought(ggufs(&QUANTS), "org/name:Q8_0"),
        (vec!["big/model-Q8_0.gguf".to_owned()], "model-Q8_0.gguf".to_owned())
    );
    assert_eq!(brought(ggufs(&QUANTS), "org/name/big/model-Q8_0.gguf").1, "model-Q8_0.gguf");
}

#[test]
fn several_gguf_files_and_no_choice_are_listed() {
    let message = refused(ggufs(&QUANTS), "org/name", ErrorKind::Missing);
    assert!(message.contains("the repository has several GGUF files (org/name)"), "{message}");
    for name in ["model-IQ4_K_M.gguf", "model-Q4_K.gguf", "model-Q4_K_M.gguf", "big/model-Q8_0.gguf"] {
        assert!(message.contains(name), "{message}");
    }
    assert!(message.contains("or org/name:TAG"), "{message}");
    let message = refused(ggufs(&QUANTS), "org/name:Q2_K", ErrorKind::Missing);
    assert!(
        message.contains("no GGUF file of the repository has that tag") && message.contains("model-Q4_K.gguf"),
        "{message}"
    );
    let message = refused(ggufs(&QUANTS), "org/name/model-Q2_K.gguf", ErrorKind::Missing);
    assert!(message.contains("no such file") && message.contains("model-Q4_K.gguf"), "{message}");
    let message = refused(ggufs(&["a/x-Q4_0.gguf", "b/x-Q4_0.gguf"]), "org/name:Q4_0", ErrorKind::Missing);
    assert!(message.contains("several GGUF files of the repository have that tag"), "{message}");
}

#[test]
fn a_single_gguf_file_needs_no_choice_and_a_projector_is_no_model() {
    assert_eq!(brought(ggufs(&["mmproj-f16.gguf", "only.gguf", "README.md"]), "org/name").1, "only.gguf");
}

#[test]
fn all_parts_of_a_split_gguf_file_are_brought() {
    let parts = ["m-Q4_0-00001-of-00002.gguf", "m-Q4_0-00002-of-00002.gguf", "m-Q8_0-00001-of-00002.gguf"];
    for spec in ["org/name:Q4_0", "org/name/m-Q4_0-00001-of-00002.gguf"] {
        let (files, opened) = brought(ggufs(&parts), spec);
        assert_eq!((files.as_slice(), opened.as_str()), (&parts.map(str::to_owned)[..2], parts[0]), "{spec}");
    }
    let message = refused(ggufs(&parts), "org/name:Q8_0", ErrorKind::Missing);
    assert!(message.contains("parts of a split GGUF file are missing"), "{message}");
}

#[test]
fn safetensors_win_and_pickles_are_refused() {
    let single = |extra: &[File]| {
        let mut files = vec![
            File::new("config.json", "0972e95c1405cc1507c19dcbe784f7a36c930907", CONFIG),
            File::new("model.safetensors", SHARD_1, "first shard ".repeat(20_000)),
        ];
        files.extend_from_slice(extra);
        files
    };
    let both = single(&ggufs(&["a.gguf", "b.gguf"]));
    let expected = vec!["config.json".to_owned(), "model.safetensors".to_owned()];
    assert_eq!(brought(both, "org/name"), (expected.clone(), "folder".to_owned()));
    // One file beats an index, as it does in a folder.
    assert_eq!(brought(single(&sharded()[2..6]), "org/name"), (expected, "folder".to_owned()));
    // Another name is opened by its name.
    let odd = vec![File::new("weights.safetensors", SHARD_1, "first shard ".repeat(20_000))];
    assert_eq!(brought(odd, "org/name").1, "weights.safetensors");
    let two = vec![File::new("a.safetensors", SHARD_1, ""), File::new("b.safetensors", SHARD_1, "")];
    let message = refused(two, "org/name", ErrorKind::Missing);
    assert!(message.contains("which of several safetensors files") && message.contains("b.safetensors"), "{message}");

    let pickled: Vec<_> = sharded().into_iter().filter(|f| !f.name.contains("safetensors")).collect();
    let message = refused(pickled, "org/name", ErrorKind::Unsupported);
    assert!(message.contains("only pickle files") && message.contains("convert"), "{message}");
    let none: Vec<_> = sharded().into_iter().filter(|f| f.name.ends_with(".md")).collect();
    let message = refused(none, "org/name", ErrorKind::Missing);
    assert!(message.contains("org/name has no weights"), "{message}");
}

/// Ids of git blobs, as `git hash-object` gives them.
const EMPTY_OBJECT: &str = "9e26dfeeb6e641a33dae4961196235bdb965b21b";

#[test]
fn the_tokenizer_comes_with_safetensors_from_the_same_folder() {
    let object = |name| File::new(name, EMPTY_OBJECT, "{}");
    let weights = |name| File::new(name, SHARD_1, "first shard ".repeat(20_000));
    let files = vec![
        object("added_tokens.json"),
        object("chat_template.json"),
        object("merges.txt"),
        weights("model.safetensors"),
        object("other/tokenizer.json"),
        weights("part/model.safetensors"),
        object("part/tokenizer.json"),
        object("special_tokens_map.json"),
        object("tokenizer.json"),
        object("tokenizer.model"),
        object("tokenizer_config.json"),
        object("vocab.json"),
    ];
    let tokenizer = [
        "added_tokens.json",
        "merges.txt",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
    ];
    assert_eq!(brought(files.clone(), "org/name").0, tokenizer);
    let part = ["part/model.safetensors", "part/tokenizer.json"];
    assert_eq!(brought(files, "org/name/part/model.safetensors").0, part);
}

#[test]
fn an_adapter_comes_with_its_configuration() {
    let weights = File::new("adapter_model.safetensors", SHARD_1, "first shard ".repeat(20_000));
    let files = vec![File::new("adapter_config.json", EMPTY_OBJECT, "{}"), weights];
    let expected = ["adapter_config.json", "adapter_model.safetensors"].map(str::to_owned).to_vec();
    assert_eq!(brought(files, "org/name"), (expected, "adapter_model.safetensors".to_owned()));
}

#[test]
fn a_repository_is_told_from_a_path() {
    let ids = [
        "org/name",
        "Org-1/Some.Model_v2",
        "org/name@main",
        "org/name@refs/pr/12",
        "org/name:Q4_K_M",
        "org/name@v1.0:Q4_K_M",
        "org/name/file.gguf",
        "org/name/folder/file-Q4.gguf@main",
        "org/name/model.safetensors",
    ];
    for id in ids {
        assert!(is_repo_id(id), "{id}");
    }
    let others = [
        "",
        "name",
        "/org/name",
        "./org/name",
        "../org/name",
        "~/models",
        "org/name/",
        "org//name",
        "org/../name",
        "org/na..me",
        "org/na--me",
        "org/.name",
        "-org/name",
        "models/file.gguf",
        "models/file.SAFETENSORS",
        "org/name/config.json",
        "org/name/folder",
        "org/name/../x.gguf",
        "org/name@",
        "org/name@a b",
        "org/name@../x",
        "org/name@main@main",
        "org/name:",
        "org/name:a:b",
        "org/name:Q4@v1:Q5",
        "org/name/file.gguf:Q4",
        "org/name?x=1",
        "org/name#x",
        "org/na me",
        "http://host/org/name",
        "C:\\models\\x",
        "órg/name",
    ];
    for other in others {
        assert!(!is_repo_id(other), "{other}");
    }
    assert!(!is_repo_id(&format!("org/{}", "x".repeat(97))));
}

#[test]
fn a_path_that_exists_wins() {
    // Tests run in the folder of the crate.
    assert!(fs::metadata("tests/hub").is_ok());
    assert!(!is_repo_id("tests/hub"));
    assert!(is_repo_id("tests/hubs"));
}
