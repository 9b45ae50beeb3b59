//! Commands that run a model, on the tiny models that transformers made.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tomograph::cli::Exit;

use crate::harness::run;

pub(crate) fn parity(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity").join(case)
}

pub(crate) fn text_of(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Header of a safetensors file, and where its data begins.
fn header(bytes: &[u8]) -> (Value, usize) {
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), 8 + length)
}

/// Bytes of tensor `name` in a safetensors file.
pub(crate) fn place(bytes: &[u8], name: &str) -> std::ops::Range<usize> {
    let (header, start) = header(bytes);
    let offset = |i: usize| usize::try_from(header[name]["data_offsets"][i].as_u64().unwrap()).unwrap();
    start + offset(0)..start + offset(1)
}

/// Writes the token ids that a case's reference was computed on.
pub(crate) fn tokens(case: &str, to: &Path) -> String {
    let bytes = fs::read(parity(case).join("forward.safetensors")).unwrap();
    let ids = |s: usize| -> Vec<i64> {
        let data = &bytes[place(&bytes, &format!("tokens.{s}"))];
        data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    };
    let path = to.join("tokens.json");
    fs::write(&path, json!([ids(0), ids(1)]).to_string()).unwrap();
    text_of(&path)
}

/// A copy of a case that can be spoilt.
pub(crate) fn copy(case: &str, to: &Path) -> PathBuf {
    let folder = to.join("model");
    fs::create_dir(&folder).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(parity(case).join(name), folder.join(name)).unwrap();
    }
    folder
}

#[test]
fn perplexity_is_that_of_transformers() {
    let folder = tempfile::tempdir().unwrap();
    for case in ["llama", "gemma2", "gpt2", "mixtral"] {
        let reference: Value = serde_json::from_slice(&fs::read(parity(case).join("forward.json")).unwrap()).unwrap();
        let expected = reference["mean_loss_over_tokens"].as_f64().unwrap();
        let ids = tokens(case, folder.path());
        let found = run(["perplexity", &text_of(&parity(case)), "--token-ids", &ids, "--json"]).ended(Exit::Success);
        let json = found.json();
        let nll = json["nll"].as_f64().unwrap();
        assert!((nll - expected).abs() <= 1e-6 * expected, "{case}: {nll} for {expected}");
        assert!((json["perplexity"].as_f64().unwrap() - nll.exp()).abs() <= 1e-9 * nll.exp());
        assert!(json["stderr"].as_f64().unwrap() > 0.0);
        assert_eq!(json["tokens"], 14);
        assert!(found.err.contains("text: ") && found.err.contains("memory: about"), "{}", found.err);
    }
}

#[test]
fn a_map_of_activations_says_which_text() {
    let folder = tempfile::tempdir().unwrap();
    let ids = tokens("mixtral", folder.path());
    let out = text_of(&folder.path().join("out"));
    let model = text_of(&parity("mixtral"));
    let args = ["map", &model, "--metric", "rms,activations,err-int4@x", "--token-ids", &ids, "--out", &out];
    run(args).ended(Exit::Success);
    let map: Value = serde_json::from_slice(&fs::read(folder.path().join("out/map.json")).unwrap()).unwrap();
    let provenance = &map["provenance"];
    assert!(provenance["text"].as_str().unwrap().contains("tokens.json"), "{provenance}");
    assert_eq!((&provenance["tokens"], &provenance["sequences"]), (&json!(16), &json!(2)));
    assert_eq!(provenance["text_digest"].as_str().unwrap().len(), 64);
    let read = tomo_map::read_json(&fs::read(folder.path().join("out/map.json")).unwrap()).unwrap();
    let ids: Vec<&str> = read.columns.iter().map(|c| c.info.id.as_ref()).collect();
    assert_eq!(ids.len(), 13, "{ids:?}");
    assert_eq!(ids[0], "rms", "columns are in the registry's order");
    let energy = read.column("input-energy").unwrap();
    assert!(energy.scores.iter().any(|s| s.value().is_some() && s.interval().is_some()));
    let load = read.column("experts-load").unwrap();
    assert!(load.scores.iter().any(|s| s.value().is_some_and(|v| v > 0.0)));
    let report = fs::read_to_string(folder.path().join("out/report.md")).unwrap();
    assert!(report.contains("tokens.json"), "the report names the text:\n{report}");
}

#[test]
fn an_imatrix_scores_as_the_pass_that_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let ids = tokens("qwen3", folder.path());
    let model = text_of(&parity("qwen3"));
    for name in ["own.gguf", "own.dat"] {
        let file = text_of(&folder.path().join(name));
        run(["imatrix", &model, "--token-ids", &ids, "-o", &file]).ended(Exit::Success);
        let scores = |extra: [&str; 2], out: &str| {
            let out = folder.path().join(out);
            let metrics = "input-energy,wanda,err-int4@x";
            run(["map", &model, "--metric", metrics, extra[0], extra[1], "--out", &text_of(&out)]).ended(Exit::Success);
            tomo_map::read_json(&fs::read(out.join("map.json")).unwrap()).unwrap()
        };
        let (pass, file) = (scores(["--token-ids", &ids], "pass"), scores(["--imatrix", &file], "file"));
        for (a, b) in pass.columns.iter().zip(&file.columns) {
            assert_eq!(a.info.id, b.info.id);
            for (a, b) in a.scores.iter().zip(&b.scores) {
                let (a, b) = (a.value().unwrap(), b.value().unwrap());
                assert!((a - b).abs() <= 2e-6 * a.abs(), "{name}: {a} by the pass, {b} by the file");
            }
        }
        let shown = run(["imatrix", &text_of(&folder.path().join(name)), "--show-statistics"]).ended(Exit::Success);
        assert!(shown.out.contains("blk.0.attn_q.weight"), "{}", shown.out);
    }
}

#[test]
fn token_ids_come_back_as_they_went() {
    let folder = tempfile::tempdir().unwrap();
    let ids = tokens("olmo2", folder.path());
    let saved = text_of(&folder.path().join("saved.json"));
    let model = text_of(&parity("olmo2"));
    run(["perplexity", &model, "--token-ids", &ids, "--save-token-ids", &saved]).ended(Exit::Success);
    let read = |path: &str| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    assert_eq!(read(&ids), read(&saved));
}

#[test]
fn a_config_key_that_is_not_understood_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = copy("llama", folder.path());
    let mut config: Value = serde_json::from_slice(&fs::read(model.join("config.json")).unwrap()).unwrap();
    config["attention_twist"] = json!(0.5);
    fs::write(model.join("config.json"), config.to_string()).unwrap();
    let ids = tokens("llama", folder.path());
    let model = text_of(&model);
    let refused = run(["perplexity", &model, "--token-ids", &ids]).ended(Exit::Failure);
    assert!(refused.err.contains("attention_twist") && refused.err.contains("--ignore-config-key"), "{}", refused.err);
    let args = ["perplexity", &model, "--token-ids", &ids, "--ignore-config-key", "attention_twist"];
    run(args).ended(Exit::Success);
}

#[test]
fn a_nan_weight_is_named_by_tensor_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let model = copy("llama", folder.path());
    let mut bytes = fs::read(model.join("model.safetensors")).unwrap();
    let name = "model.layers.1.mlp.up_proj.weight";
    let at = place(&bytes, name).start + 2 * (36 + 5);
    bytes[at..at + 2].copy_from_slice(&0x7fc0_u16.to_le_bytes());
    fs::write(model.join("model.safetensors"), bytes).unwrap();
    let ids = tokens("llama", folder.path());
    let refused = run(["perplexity", &text_of(&model), "--token-ids", &ids]).ended(Exit::Failure);
    for part in [name, "row 1, column 5", "L1.mlp.up", "NaN"] {
        assert!(refused.err.contains(part), "no {part:?} in\n{}", refused.err);
    }
}

#[test]
fn what_cannot_be_run_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let ids = tokens("llama", folder.path());
    let model = text_of(&parity("llama"));
    let small = run(["perplexity", &model, "--token-ids", &ids, "--memory", "1kB"]).ended(Exit::Failure);
    assert!(small.err.contains("hint: --memory "), "{}", small.err);
    let without = run(["perplexity", &model]).ended(Exit::Failure);
    assert!(without.err.contains("tokenizer"), "{}", without.err);
    let other = folder.path().join("other.json");
    fs::write(&other, "[[1, 2, 61]]").unwrap();
    let other = run(["perplexity", &model, "--token-ids", &text_of(&other)]).ended(Exit::Failure);
    assert!(other.err.contains("61") && other.err.contains("vocabulary"), "{}", other.err);
    // A tokenizer with more tokens than the model has rows.
    let tokenizer = fs::read_dir(parity("../tokenizers")).unwrap().map(|e| e.unwrap().path().join("tokenizer.json"));
    let tokenizer = text_of(&tokenizer.into_iter().find(|p| p.exists()).unwrap());
    let foreign = run(["perplexity", &model, "--tokenizer", &tokenizer]).ended(Exit::Failure);
    assert!(foreign.err.contains("expected") && foreign.err.contains("61"), "{}", foreign.err);
}

/// `TOMOGRAPH_SMOLLM2` names SmolLM2-135M-Instruct.Q4_1.gguf.
#[test]
#[ignore = "reads SmolLM2-135M-Instruct: set TOMOGRAPH_SMOLLM2 and run with --ignored"]
fn smollm2_perplexity_is_that_of_transformers() {
    let model = std::env::var("TOMOGRAPH_SMOLLM2").expect("TOMOGRAPH_SMOLLM2 names the GGUF file");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let reference: Value = serde_json::from_slice(&fs::read(golden.join("smollm2-forward.json")).unwrap()).unwrap();
    let expected = reference["nll_mean"].as_f64().unwrap();
    let ids = text_of(&golden.join("smollm2-tokens.json"));
    for memory in ["2GB", "300MB"] {
        let args = ["perplexity", &model, "--token-ids", &ids, "--json", "--memory", memory];
        let nll = run(args).ended(Exit::Success).json()["nll"].as_f64().unwrap();
        assert!((nll - expected).abs() <= 1e-5, "{nll} for {expected} with {memory}");
    }
    // The tokenizer inside the file, on the bundled sample.
    let small = run(["perplexity", &model, "--tokens", "64", "--sequence", "32", "--json"]).ended(Exit::Success);
    assert!(small.json()["text"].as_str().unwrap().contains("bundled sample"), "{}", small.out);
}
