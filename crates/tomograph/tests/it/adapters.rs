//! Adapters on the command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tomograph::cli::Exit;

use crate::harness::run;

fn fixture(name: &str) -> OsString {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name).into()
}

/// `map ADAPTER` with further arguments, into a new folder.
fn map(args: &[OsString]) -> (tempfile::TempDir, PathBuf, crate::harness::Outcome) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let all = [&["map".into()], args, &["--out".into(), out.clone().into()]].concat();
    let outcome = run(all);
    (folder, out, outcome)
}

fn read(out: &Path) -> tomograph::Map {
    tomograph::map::read_json(&std::fs::read(out.join("map.json")).unwrap()).unwrap()
}

#[test]
fn an_adapter_against_its_base() {
    let args = [fixture("adapters/plain"), "--against".into(), fixture("parity/llama")];
    let (_folder, out, outcome) = map(&args);
    let outcome = outcome.ended(Exit::Success);
    assert!(outcome.err.contains("the adapter changes 21 of 21 cells"), "{}", outcome.err);
    let map = read(&out);
    assert_eq!((map.grid.cells.len(), map.provenance.format.as_str()), (21, "peft-lora"));
    let against = map.provenance.against.unwrap();
    assert!(against.model.ends_with("parity/llama") && !against.model_digest.is_empty());
    assert!(map.columns.iter().any(|c| c.info.id == "delta-relative"));
    assert!(map.columns.iter().flat_map(|c| &c.scores).any(|s| s.value().is_some()));
}

#[test]
fn an_adapter_alone() {
    let (_folder, out, outcome) = map(&[fixture("adapters/rslora")]);
    let outcome = outcome.ended(Exit::Success);
    assert!(outcome.err.contains("--against BASE (it names \"parity/llama\")"), "{}", outcome.err);
    let map = read(&out);
    assert_eq!((map.grid.cells.len(), map.provenance.against), (6, None));
    let rank = map.columns.iter().find(|c| c.info.id == "delta-rank").unwrap();
    assert!(rank.scores.iter().all(|s| s.value().is_some()));
}

#[test]
fn what_is_beside_the_grid_is_said() {
    let args = [fixture("adapters/beside"), "--against".into(), fixture("parity/llama")];
    let (_folder, out, outcome) = map(&args);
    let outcome = outcome.ended(Exit::Success);
    assert!(outcome.err.contains("not on the grid, and not scored: bias (7)"), "{}", outcome.err);
    assert!(read(&out).provenance.against.unwrap().notes.iter().any(|note| note.contains("bias (7)")));
}

#[test]
fn what_an_adapter_cannot_do() {
    let base = || fixture("parity/llama");
    let plain = || fixture("adapters/plain");
    let refused = |args: &[OsString], says: &str| {
        let (_folder, out, outcome) = map(args);
        let err = outcome.ended(Exit::Failure).err;
        assert!(err.contains(says), "expected {says:?} in: {err}");
        assert!(!out.exists(), "a refused scan wrote results");
    };
    refused(&[plain(), "--metric".into(), "rms".into()], "rms is not of a change");
    refused(&[plain(), "--against".into(), fixture("parity/mistral")], "L0.attn.k has the wrong shape");
    refused(&[base(), "--against".into(), plain()], "this is an adapter, not a model");
    refused(&[plain(), "--against".into(), plain()], "this is an adapter, not a model");
    let err = run(["perplexity".into(), plain()]).ended(Exit::Failure).err;
    assert!(err.contains("this is an adapter, not a model"), "{err}");
}

#[test]
fn inspect_says_what_an_adapter_is() {
    let out = run(["inspect".into(), fixture("adapters/patterns")]).ended(Exit::Success).out;
    for says in [
        "LoRA adapter, 40 tensors",
        "parity/llama",
        "rank     4, alpha 8, scaling alpha / rank; other modules by patterns",
        "20 in 3 layers",
        "mlp.up           3  2           4, 8, 16       52 x 36",
    ] {
        assert!(out.contains(says), "expected {says:?} in:\n{out}");
    }
    let out = run(["inspect".into(), fixture("adapters/beside")]).ended(Exit::Success).out;
    assert!(
        out.contains("not on the grid") && out.contains("bias: 7 tensors") && out.contains("stored whole"),
        "{out}"
    );
    let json = run(["inspect".into(), fixture("adapters/dora"), "--json".into()]).ended(Exit::Success).json();
    assert_eq!((json["dora"].as_bool(), json["changes"]["cells"].as_array().unwrap().len()), (Some(true), 12));
    // Which rows of a fused module are whose takes the base; the rest is said all the same.
    let out = run(["inspect".into(), fixture("adapters/experts")]).ended(Exit::Success).out;
    assert!(out.contains("--against BASE") && out.contains("rank     2"), "{out}");
}
