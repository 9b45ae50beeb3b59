//! Maps of gradient metrics, on the tiny models that transformers made.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tomo_map::{Map, Status};
use tomograph::cli::Exit;

use crate::harness::{Outcome, run};

const METRICS: &str = "rms,input-energy,taylor,ig,predicted-kl-int3,predicted-kl-int4";

fn parity(case: &str) -> String {
    text_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity").join(case))
}

fn text_of(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn token_ids(to: &Path) -> String {
    let path = to.join("tokens.json");
    fs::write(&path, "[[1,5,9,13,17,21,25,29],[2,4,8,16,32,3,6,12],[7,7,3,40,41,42,43,44]]").unwrap();
    text_of(&path)
}

fn read(folder: &Path) -> Map {
    tomo_map::read_json(&fs::read(folder.join("map.json")).unwrap()).unwrap()
}

/// Scans `llama` with the metrics above and more arguments.
fn scan(folder: &Path, out: &str, more: &[&str]) -> (Outcome, PathBuf) {
    let (ids, out) = (token_ids(folder), folder.join(out));
    let (model, to) = (parity("llama"), text_of(&out));
    let args = ["map", &model, "--metric", METRICS, "--token-ids", &ids, "--group", "8", "--draws", "6", "--out", &to];
    (run(args.iter().chain(more).copied()).ended(Exit::Success), out)
}

#[test]
fn a_map_of_gradients_says_what_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = scan(folder.path(), "out", &["--ig-steps", "2"]);
    // The plan comes before the passes: one for the text and the draws, one for the path.
    let err = &outcome.err;
    assert!(err.contains("forward and backward over 3 sequences, loss of the text and 6 draws"), "{err}");
    assert!(err.contains("forward and backward over 6 sequences, integrated gradients, 2 steps"), "{err}");
    assert!(err.contains("reads ") && err.contains("memory about") && err.contains("activations "), "{err}");
    let map = read(&out);
    let ids: Vec<&str> = map.columns.iter().map(|c| c.info.id.as_ref()).collect();
    assert_eq!(ids.join(",").split(',').count(), 6, "{ids:?}");
    assert_eq!((map.provenance.draws, map.provenance.loss.as_deref()), (Some(6), Some("all predicted tokens")));
    assert!(map.columns.iter().all(|c| c.scores.iter().all(|s| s.value().is_some())), "{ids:?}");
    assert!(map.column("predicted-kl-int3").unwrap().scores.iter().all(|s| s.interval().is_some()));
    let report = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("| loss of | `all predicted tokens` |") && report.contains("| draws of labels | 6 |"));
    assert!(report.contains("nats per token, what cells do to each other left out"), "{report}");
}

#[test]
fn draws_are_kept_and_give_the_direct_estimate() {
    let folder = tempfile::tempdir().unwrap();
    let (_, out) = scan(folder.path(), "out", &[]);
    let draws: Value = serde_json::from_slice(&fs::read(out.join("draws.json")).unwrap()).unwrap();
    assert_eq!(draws["schema"], "tomograph.draws/1");
    let metrics = draws["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0]["metric"], "predicted-kl-int4");
    let map = read(&out);
    for metric in metrics {
        assert_eq!((&metric["tokens"], &metric["draws"], &metric["sequences"]), (&json!(21.0), &json!(6), &json!(3)));
        let column = map.column(metric["metric"].as_str().unwrap()).unwrap();
        let cells = metric["cells"].as_array().unwrap();
        assert_eq!(cells.len(), column.scores.len());
        for ((cell, id), score) in cells.iter().zip(&map.grid.cells).zip(&column.scores) {
            assert_eq!((&cell["layer"], &cell["component"]), (&json!(id.id.layer), &json!(id.id.component)));
            let u: Vec<Vec<f64>> = serde_json::from_value(cell["u"].clone()).unwrap();
            assert_eq!((u.len(), u[0].len()), (6, 3));
            let direct = 0.5 * u.iter().flatten().map(|u| u * u).sum::<f64>() / 6.0 / 21.0;
            // The estimate is drawn towards its neighbours, by no more than 18 squares leave open.
            assert!((score.value().unwrap() / direct).ln().abs() < 1.5, "{} for {direct}", id.id);
        }
    }
    let table = fs::read_to_string(out.join("draws.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 * map.grid.cells.len() * 18);
    assert!(table.starts_with("metric,layer,component,expert,draw,sequence,u\npredicted-kl-int4,0,attn.q,,0,0,"));
}

#[test]
fn resumed_or_not_the_scores_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (_, plain) = scan(folder.path(), "plain", &[]);
    let elsewhere = text_of(&folder.path().join("elsewhere"));
    for (name, more) in [("own", vec!["--resume"]), ("named", vec!["--resume", &elsewhere])] {
        let (_, resumed) = scan(folder.path(), name, &more);
        assert_eq!(read(&plain).columns, read(&resumed).columns);
        // Nothing stays behind a pass that is over.
        assert!(!resumed.join("resume").exists() && !Path::new(&elsewhere).exists());
    }
}

#[test]
fn the_loss_of_answers_needs_answers() {
    let folder = tempfile::tempdir().unwrap();
    let ids = token_ids(folder.path());
    let refused = run(["map", &parity("llama"), "--metric", "taylor", "--token-ids", &ids, "--loss", "answer"]);
    assert!(refused.ended(Exit::Failure).err.contains("--answers"));
}

#[test]
fn the_loss_of_answers_is_of_their_tokens_alone() {
    let folder = tempfile::tempdir().unwrap();
    let write = |lines: &str| {
        let path = folder.path().join("answers.jsonl");
        fs::write(&path, lines).unwrap();
        text_of(&path)
    };
    // A tokenizer of bytes: answers of 3 and 2 tokens.
    let good =
        write("{\"prompt\":\"2 + 2 =\",\"completion\":\" 4\\n\"}\n\n{\"prompt\":\"1+1=\",\"completion\":\"2\\n\"}\n");
    let model = text_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/demo/base"));
    let map = |loss: &str| {
        let out = folder.path().join(loss);
        let args = ["map", &model, "--metric", "taylor", "--answers", &good, "--loss", loss, "--out", &text_of(&out)];
        run(args).ended(Exit::Success);
        read(&out)
    };
    let (answer, text) = (map("answer"), map("text"));
    assert_eq!(answer.provenance.loss.as_deref(), Some("5 answer tokens"));
    assert_eq!((answer.provenance.sequences, answer.provenance.text_digest), (Some(2), text.provenance.text_digest));
    assert_eq!(text.provenance.loss.as_deref(), Some("all predicted tokens"));
    assert_ne!(answer.columns[0].scores, text.columns[0].scores);
    for (wrong, said) in [("{\"prompt\":\"x\"}", "completion"), ("[1]", "prompt"), ("\n", "no line"), ("{", "line 1")] {
        let path = write(wrong);
        let refused = run(["map", &model, "--metric", "taylor", "--answers", &path]).ended(Exit::Failure);
        assert!(refused.err.contains(said) && refused.err.contains("answers.jsonl"), "{}", refused.err);
    }
}

#[test]
fn too_few_sequences_for_a_path_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.json");
    fs::write(&path, "[[1,5,9,13]]").unwrap();
    let out = folder.path().join("out");
    let args = ["map", &parity("llama"), "--metric", "ig", "--token-ids", &text_of(&path), "--out", &text_of(&out)];
    run(args).ended(Exit::Success);
    let column = read(&out).columns.remove(0);
    assert!(column.scores.iter().all(|s| s.value().is_none() && s.status() != Status::Ok && s.reason().is_some()));
}
