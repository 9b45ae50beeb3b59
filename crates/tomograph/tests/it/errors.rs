use tomograph::cli::Exit;

use crate::harness::{phantom, run};

#[test]
fn a_path_that_is_not_there_is_named() {
    let outcome = run(["map", "./no/such/model.gguf"]).ended(Exit::Failure);
    assert_eq!(outcome.out, "");
    assert!(outcome.err.contains("./no/such/model.gguf"), "{}", outcome.err);
}

#[test]
fn a_truncated_file_says_where_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(phantom().join("model.safetensors")).unwrap();
    let file = folder.path().join("model.safetensors");
    std::fs::write(&file, &whole[..whole.len() - 7]).unwrap();
    let out = folder.path().join("out");
    let err =
        run(["map".into(), file.clone().into_os_string(), "--out".into(), out.clone().into()]).ended(Exit::Failure).err;
    assert!(err.contains("model.safetensors"), "{err}");
    assert!(!out.exists(), "a failed scan wrote results");
}

#[test]
fn an_unknown_metric_is_refused_before_anything_is_read() {
    let err = run(["map", "./no/such/model", "--metric", "stable-rnk"]).ended(Exit::Failure).err;
    assert!(err.contains("stable-rank"), "{err}");
}
