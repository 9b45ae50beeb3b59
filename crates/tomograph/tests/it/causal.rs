//! Causal maps from the command line, on the trained model of bytes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tomo_map::{Map, Status};
use tomograph::cli::Exit;

use crate::harness::{Outcome, run};
use crate::running::text_of;

fn demo() -> String {
    text_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/demo/base"))
}

/// Eight sequences of twelve bytes.
fn token_ids(to: &Path) -> String {
    let text =
        b"It was a dark evening, and the engineer asked the dog about the ladder; nobody in the lighthouse knew it.";
    let sequences: Vec<Vec<u8>> = (0..8).map(|at| text[at * 12..][..12].to_vec()).collect();
    let path = to.join("tokens.json");
    fs::write(&path, serde_json::to_string(&sequences).unwrap()).unwrap();
    text_of(&path)
}

fn read(folder: &Path) -> Map {
    tomo_map::read_json(&fs::read(folder.join("map.json")).unwrap()).unwrap()
}

fn scan(folder: &Path, out: &str, metrics: &str, more: &[&str]) -> (Outcome, PathBuf) {
    let (ids, out) = (token_ids(folder), folder.join(out));
    let (model, to) = (demo(), text_of(&out));
    let args = ["map", &model, "--metric", metrics, "--token-ids", &ids, "--group", "16", "--out", &to];
    (run(args.iter().chain(more).copied()).ended(Exit::Success), out)
}

#[test]
fn an_exact_scan_says_what_it_takes_and_how_far_it_agrees_with_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = scan(folder.path(), "out", "quant-kl-int3,ablate-mean", &["--exact"]);
    let err = &outcome.err;
    assert!(err.contains("forward for the means of outputs: memory about"), "{err}");
    assert!(err.contains("one cell changed at a time: 392 changed models on 8 sequences, 3,136 passes"), "{err}");
    assert!(err.contains("reads ") && err.contains("weights stay in memory") && !err.contains("racing"), "{err}");
    assert!(outcome.out.contains("quant-kl-int3: split-half reliability over 8 sequences"), "{}", outcome.out);
    let map = read(&out);
    for column in &map.columns {
        assert!(column.scores.iter().all(|s| s.value().is_some_and(|v| v >= 0.0) && s.interval().is_some()));
        let measurement = column.measurement.as_ref().unwrap();
        assert!(measurement.of == 8 && measurement.sequences.iter().all(|n| *n == 8));
        assert!(measurement.reliability.is_some_and(|r| r.half > 0.0 && r.whole >= r.half));
    }
    assert!(map.provenance.text_digest.is_some() && map.provenance.sequences == Some(8));
    let report = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("Split-half reliability over 8 sequences"), "{report}");
    assert!(!report.contains("It is a proxy"), "{report}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("plit-half reliability over 8 sequences"));
    assert!(!out.join("resume").exists());
}

/// `measured.json` is enough to make every score again; the table has the same numbers.
#[test]
fn what_was_measured_is_kept_and_gives_the_scores() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = scan(
        folder.path(),
        "out",
        "noise-alpha,quant-kl-int3",
        &["--exact", "--noise-seeds", "1", "--noise-levels", "0.1,0.2"],
    );
    assert!(outcome.out.contains("measured.json"));
    let measured: Value = serde_json::from_slice(&fs::read(out.join("measured.json")).unwrap()).unwrap();
    let map = read(&out);
    assert_eq!(measured["schema"], "tomograph.measured/1");
    assert_eq!(measured["model_digest"], map.provenance.model_digest.as_str());
    let mut lines = 0;
    for metric in measured["metrics"].as_array().unwrap() {
        let column = map.column(metric["metric"].as_str().unwrap()).unwrap();
        let tokens: Vec<f64> = serde_json::from_value(metric["tokens"].clone()).unwrap();
        assert_eq!(tokens, [11.0; 8]);
        let cells = metric["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 196);
        for (cell, (at, score)) in cells.iter().zip(map.grid.cells.iter().zip(&column.scores)) {
            assert_eq!((&cell["layer"], cell["component"].as_str()), (&at.id.layer.into(), Some(at.id.component.id())));
            let values: Vec<f64> = serde_json::from_value(cell["value"].clone()).unwrap();
            let mean = values.iter().sum::<f64>() / 8.0;
            assert!((score.value().unwrap() - mean).abs() <= 1e-12 * mean, "{}", at.id);
            lines += 8 * cell["variants"].as_array().unwrap().len();
        }
        assert_eq!(cells[0].get("r2").is_some(), column.info.id == "noise-alpha");
    }
    let table = fs::read_to_string(out.join("measured.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + lines);
    assert!(table.starts_with("metric,layer,component,expert,edit,sequence,tokens,kl,nll,top1\n"));
    assert!(table.contains("\nquant-kl-int3,0,attn.q,,int3:g16,0,11,") && table.contains(",noise:0.2:seed=0,"));
}

#[test]
fn a_race_is_announced_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = scan(folder.path(), "out", "quant-kl-int2", &[]);
    let err = &outcome.err;
    assert!(err.contains("racing: 196 cells get a few sequences first, 434 passes in all"), "{err}");
    assert!(err.contains("7 cells drawn at random") && err.contains("--exact"), "{err}");
    let map = read(&out);
    let raced = map.columns[0].measurement.as_ref().unwrap().raced().unwrap();
    assert_eq!((raced.of, raced.fewest, raced.sequences), (196, 2, 8));
    let said = format!("{} of 196 cells got 2 or more of the 8 sequences and not all", raced.cells);
    assert!(outcome.out.contains(&said), "{}", outcome.out);
    assert!(fs::read_to_string(out.join("report.md")).unwrap().contains(&said));
    let view = map.default_view("quant-kl-int2").unwrap();
    assert!(view.notes.iter().any(|note| note.contains(&said)), "{:?}", view.notes);
}

#[test]
fn ablation_to_zero_says_that_columns_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = scan(folder.path(), "out", "ablate-zero", &["--exact"]);
    assert!(outcome.err.contains("84 changed models"), "{}", outcome.err);
    let view = read(&out).default_view("ablate-zero").unwrap();
    assert!(view.notes.iter().any(|note| note.contains("three distinct columns out of seven")));
    let measured = fs::read_to_string(out.join("measured.json")).unwrap();
    assert!(measured.contains("same_as"));
}

#[test]
fn cells_of_another_checkpoint_need_one() {
    let folder = tempfile::tempdir().unwrap();
    let ids = token_ids(folder.path());
    let refused = run(["map", &demo(), "--metric", "patch-kl", "--token-ids", &ids]).ended(Exit::Failure);
    assert!(refused.err.contains("--against BASE"), "{}", refused.err);
    let tuned = demo().replace("base", "tuned");
    let (_, out) = scan(folder.path(), "out", "patch-kl", &["--exact", "--against", &tuned]);
    let map = read(&out);
    assert!(map.columns[0].scores.iter().all(|s| s.status() == Status::Ok));
}

#[test]
fn wrong_options_are_refused_before_anything_runs() {
    for (option, value) in
        [("--noise-levels", "0"), ("--noise-levels", "a"), ("--rank", "0"), ("--rank", "1.5"), ("--noise-seeds", "0")]
    {
        run(["map", &demo(), "--metric", "lowrank-kl", option, value]).ended(Exit::Usage);
    }
}

/// What an ended scan kept: of the same command it is gone on from, of any other it is not used, and that is said.
#[test]
fn what_is_kept_is_gone_on_from() {
    use tomograph::scan::{Request, Scan, Silent};

    let folder = tempfile::tempdir().unwrap();
    let (_, plain) = scan(folder.path(), "plain", "quant-kl-int3", &[]);
    let out = folder.path().join("out");
    // The library does not remove what it kept: the results are its caller's.
    let mut request = Request::new(demo()).metrics("quant-kl-int3").unwrap();
    request.options.group = 16;
    request.text.token_ids = Some(token_ids(folder.path()).into());
    request.keep = Some(out.join("resume"));
    let model = std::sync::Arc::new(tomograph::scan::open(&request.path, &[]).unwrap());
    let scanned = Scan::new(model, &request, &mut std::io::empty()).unwrap().run(&Silent).unwrap();
    assert_eq!(scanned.spent, [out.join("resume/causal")]);
    let (other, _) = scan(folder.path(), "out", "quant-kl-int2", &[]);
    assert!(other.err.contains("another model, text or option"), "{}", other.err);
    Scan::new(std::sync::Arc::new(tomograph::scan::open(&request.path, &[]).unwrap()), &request, &mut std::io::empty())
        .unwrap()
        .run(&Silent)
        .unwrap();
    let (resumed, out) = scan(folder.path(), "out", "quant-kl-int3", &[]);
    assert!(resumed.err.contains("going on from an earlier scan"), "{}", resumed.err);
    assert_eq!(read(&out).columns, read(&plain).columns);
    assert_eq!(fs::read(out.join("measured.json")).unwrap(), fs::read(plain.join("measured.json")).unwrap());
    assert!(!out.join("resume").exists());
}
