//! `tomograph diff`: from two maps to what moved.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tomo_map::{Map, Score, read_json, write_json};
use tomograph::cli::Exit;
use tomograph::render::Terminal;

use crate::harness::{Outcome, phantom, run, run_on};

/// A scan of the phantom, kept in a folder of its own.
fn scanned(folder: &Path) -> PathBuf {
    let out = folder.join("first");
    let args: [OsString; 6] = [
        "map".into(),
        phantom().into(),
        "--metric".into(),
        "rms,stable-rank".into(),
        "--out".into(),
        out.clone().into(),
    ];
    run(args).ended(Exit::Success);
    out
}

/// The same map with a change made to it.
fn changed(map: &Path, to: &Path, change: impl FnOnce(&mut Map)) {
    let mut map = read_json(&std::fs::read(map.join("map.json")).unwrap()).unwrap();
    change(&mut map);
    let mut json = Vec::new();
    write_json(&map, &mut json).unwrap();
    std::fs::write(to, json).unwrap();
}

fn diff(first: &Path, second: &Path, more: &[&str]) -> Outcome {
    diff_on(Terminal::default(), first, second, more)
}

fn diff_on(terminal: Terminal, first: &Path, second: &Path, more: &[&str]) -> Outcome {
    let args = [OsString::from("diff"), first.into(), second.into()];
    run_on(terminal, args.into_iter().chain(more.iter().map(OsString::from)))
}

/// One cell of the first metric, 100 higher; another seed.
fn one_cell(map: &mut Map) {
    let score = &mut map.columns[0].scores[10];
    *score = Score::from_value(score.value().unwrap() + 100.0);
    map.provenance.seed = 7;
}

#[test]
fn a_map_against_itself_has_not_moved() {
    let folder = tempfile::tempdir().unwrap();
    let map = scanned(folder.path());
    let out = diff(&map, &map.join("map.json"), &[]).ended(Exit::Success).out;
    assert!(out.contains("both maps are of the same model, text, options and version"), "{out}");
    assert!(!out.contains("cells that moved most"), "{out}");
    let json = diff(&map, &map, &["--json"]).ended(Exit::Success).json();
    assert_eq!(json["unlike"], serde_json::json!([]));
    for metric in json["metrics"].as_array().unwrap() {
        assert_eq!((&metric["equal"], &metric["cells"]), (&196.into(), &196.into()));
        assert_eq!(metric["moved_most"], serde_json::json!([]));
    }
}

#[test]
fn what_moved_is_printed_written_and_drawn_again() {
    let folder = tempfile::tempdir().unwrap();
    let (map, other, out) = (scanned(folder.path()), folder.path().join("other.json"), folder.path().join("out"));
    changed(&map, &other, one_cell);
    let outcome = diff(&map, &other, &["-o", out.to_str().unwrap()]).ended(Exit::Success);
    for part in ["seed", "0 -> 7", "RMS weight, second minus first", "L1.attn.o"] {
        assert!(outcome.out.contains(part), "{part:?} is missing from\n{}", outcome.out);
    }
    for name in ["diff.json", "diff.csv", "report.html", "report.md", "rms@diff.png", "stable-rank@diff.png"] {
        assert!(out.join(name).metadata().is_ok_and(|m| m.len() > 0), "{name} was not written");
    }
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("| seed | `0` | `7` |") && report.contains("Of 196 cells, 1 is higher"), "{report}");
    let written = read_json(&std::fs::read(out.join("diff.json")).unwrap()).unwrap();
    assert!((written.columns[0].scores[10].value().unwrap() - 100.0).abs() < 1e-9);
    assert!(written.provenance.command.starts_with("tomograph diff "), "{}", written.provenance.command);
    // A folder of a difference is shown like that of a map.
    let shown = run(["show".into(), out.as_os_str().to_owned(), "--metric".into(), "stable-rank@diff".into()]);
    assert!(shown.ended(Exit::Success).out.contains("Stable rank, second minus first"));
}

#[test]
fn numbers_of_a_metric_come_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let (map, other) = (scanned(folder.path()), folder.path().join("other.json"));
    changed(&map, &other, one_cell);
    let json = diff(&map, &other, &["--json", "--metric", "rms", "--top", "3"]).ended(Exit::Success).json();
    let metrics = json["metrics"].as_array().unwrap();
    assert_eq!((metrics.len(), &metrics[0]["metric"]), (1, &"rms".into()));
    let moved = metrics[0]["moved_most"].as_array().unwrap();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!((&moved[0]["layer"], &moved[0]["component"]), (&1.into(), &"attn.o".into()));
    assert_eq!(moved[0]["second"]["rank"], 1);
    // All others keep their order, so that 195 pairs out of step by one rank at most are left.
    let rho = metrics[0]["rank_correlation"]["rho"].as_f64().unwrap();
    let (low, high) = (&metrics[0]["rank_correlation"]["interval"][0], &metrics[0]["rank_correlation"]["interval"][1]);
    assert!(rho > 0.97 && low.as_f64().unwrap() < rho && rho < high.as_f64().unwrap(), "{json:#}");
    assert_eq!(json["unlike"], serde_json::json!([{ "what": "seed", "first": "0", "second": "7" }]));
}

#[test]
fn every_width_of_terminal_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (map, other) = (scanned(folder.path()), folder.path().join("other.json"));
    changed(&map, &other, |map| {
        one_cell(map);
        map.provenance.model = "a/model/of a rather long name that goes on and on and on and on and on.gguf".into();
    });
    for width in [40, 80, 200] {
        let out = diff_on(Terminal { width, ..Terminal::default() }, &map, &other, &[]).ended(Exit::Success).out;
        let widest = out.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} columns on a terminal of {width}:\n{out}");
    }
}

#[test]
fn other_grids_metrics_and_files_are_refused_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let (map, other) = (scanned(folder.path()), folder.path().join("other.json"));
    changed(&map, &other, |map| {
        map.grid.layers -= 1;
        map.grid.cells.truncate(27 * 7);
        map.columns.iter_mut().for_each(|c| c.scores.truncate(27 * 7));
        map.inventory = None;
    });
    let err = diff(&map, &other, &[]).ended(Exit::Failure).err;
    assert!(err.contains("expected 28 layers, found 27") && err.contains("--force"), "{err}");
    assert!(err.contains("other.json"), "{err}");
    let out = diff(&map, &other, &["--force"]).ended(Exit::Success).out;
    assert!(out.contains("7 cells are in the first map only"), "{out}");

    let err = diff(&map, &map, &["--metric", "kurtosis"]).ended(Exit::Failure).err;
    assert!(err.contains("\"kurtosis\" is not in both maps: they share rms stable-rank"), "{err}");

    changed(&map, &other, |map| map.columns.iter_mut().for_each(|c| c.info.id = format!("my-{}", c.info.id).into()));
    let err = diff(&map, &other, &[]).ended(Exit::Failure).err;
    assert!(err.contains("no metric in common") && err.contains("my-rms"), "{err}");

    let err = diff(&map, &phantom().join("config.json"), &[]).ended(Exit::Failure).err;
    assert!(err.contains("config.json") && err.contains("tomograph.map/1"), "{err}");
    let err = diff(&map, &folder.path().join("none.json"), &[]).ended(Exit::Failure).err;
    assert!(err.contains("none.json"), "{err}");

    let out = folder.path().join("out");
    diff(&map, &map, &["-o", out.to_str().unwrap()]).ended(Exit::Success);
    let err = diff(&map, &out, &[]).ended(Exit::Failure).err;
    assert!(err.contains("the second map is a difference already"), "{err}");
}

/// Text of a file reaches the terminal and the report as text.
#[test]
fn a_hostile_map_shows_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let (map, other, out) = (scanned(folder.path()), folder.path().join("other.json"), folder.path().join("out"));
    let attack = "\u{1b}[31m<script>alert(1)</script>\u{202e}|`x`";
    changed(&map, &other, |map| {
        map.provenance.model = attack.into();
        map.provenance.text = Some(attack.into());
        map.provenance.version = attack.into();
        map.columns[0].info.title = attack.into();
        map.columns[0].info.summary = attack.into();
        let mut alone = map.columns[0].clone();
        alone.info.id = attack.into();
        map.columns.push(alone);
    });
    let printed = diff(&map, &other, &["-o", out.to_str().unwrap()]).ended(Exit::Success).out;
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for text in [&printed, &report, &page] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
    assert!(!page.contains("<script>alert"), "the page runs what the map says");
}
