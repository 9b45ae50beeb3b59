//! `tomograph agree`, on maps made up for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tomo_map::{Additivity, Column, Direction, Map, MetricInfo, Score};
use tomo_testkit::{LlamaDims, metric_info, tiny_map};
use tomograph::cli::Exit;
use tomograph::render::Terminal;

use crate::harness::{Outcome, run, run_on};

const SEQUENCES: usize = 6;

/// What a cell costs on a sequence: rises with the layer, and differs by sequence.
fn cost(at: usize, sequence: usize) -> f64 {
    let wobble = ((at * 31 + sequence * 17) % 23) as f64 / 23.0;
    0.01 * (1.0 + at as f64 + 8.0 * wobble)
}

fn costs() -> Vec<f64> {
    (0..84).map(|at| (0..SEQUENCES).map(|s| cost(at, s)).sum::<f64>() / SEQUENCES as f64).collect()
}

fn made_up() -> Map {
    let info = |id: &str, family: &'static str, direction| MetricInfo {
        family: family.into(),
        direction,
        additivity: Additivity::Additive,
        proxy: family != "causal",
        ..metric_info(id)
    };
    let grid = tiny_map(LlamaDims { layers: 12, ..LlamaDims::TINY }, &[]).grid;
    let column = |info, values: Vec<f64>| Column::new(info, values.into_iter().map(Score::from_value).collect());
    let noisy = costs().iter().enumerate().map(|(at, c)| c + 0.05 * ((at * 7919) % 13) as f64).collect();
    let upside_down = costs().iter().map(|c| -c).collect();
    let columns = vec![
        column(info("quant-kl-int3", "causal", Direction::High), costs()),
        column(info("a-proxy", "gradients", Direction::High), noisy),
        column(info("a-loser", "gradients", Direction::High), upside_down),
        column(info("a-describer", "weights", Direction::Neutral), costs()),
        column(info("constant", "weights", Direction::High), vec![1.0; 84]),
    ];
    let mut map = Map { grid, columns, ..tiny_map(LlamaDims::TINY, &[]) };
    map.provenance.text = Some("a text\u{1b}[31m of <b>strangers</b>".into());
    (map.provenance.text_digest, map.provenance.tokens) = (Some("feed".into()), Some(600));
    map.provenance.sequences = Some(SEQUENCES as u64);
    map
}

fn write(map: &Map, folder: &Path) -> PathBuf {
    let mut bytes = Vec::new();
    tomo_map::write_json(map, &mut bytes).unwrap();
    std::fs::write(folder.join("map.json"), bytes).unwrap();
    folder.to_owned()
}

fn write_measured(map: &Map, folder: &Path) {
    let cells: Vec<Value> = map
        .grid
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| {
            let value: Vec<f64> = (0..SEQUENCES).map(|s| cost(at, s)).collect();
            json!({ "layer": cell.id.layer, "component": cell.id.component, "expert": null, "value": value })
        })
        .collect();
    let of = &map.provenance;
    let file = json!({
        "schema": "tomograph.measured/1", "model_digest": of.model_digest, "text_digest": of.text_digest,
        "metrics": [{ "metric": "quant-kl-int3", "tokens": vec![100; SEQUENCES], "cells": cells }],
    });
    std::fs::write(folder.join("measured.json"), file.to_string()).unwrap();
}

fn agree(folder: &Path, more: &[&str]) -> Outcome {
    let args = [OsString::from("agree"), folder.into()].into_iter();
    run(args.chain(more.iter().map(OsString::from)).chain(["--resamples".into(), "100".into()]))
}

#[test]
fn metrics_are_listed_from_best_to_worst_with_controls_between() {
    let folder = tempfile::tempdir().unwrap();
    let map = made_up();
    write_measured(&map, &write(&map, folder.path()));
    let out = agree(folder.path(), &["--with", "quant-kl-int3"]).ended(Exit::Success).out;
    let place = |word: &str| out.find(word).unwrap_or_else(|| panic!("{word} is missing from:\n{out}"));
    assert!(place("a-describer ~") < place("a-proxy") && place("a-proxy") < place("(random)"));
    assert!(place("(random)") < place("a-loser") && place("a-loser") < place("constant"));
    for word in ["Halves of 6 sequences agree to", "a-proxy: rho = ", "ceiling", "600 tokens", "takes no side"] {
        place(word);
    }
    assert!(!out.contains('\u{1b}') && !out.contains("note:"), "{out}");
    // The only causal metric need not be named.
    assert_eq!(agree(folder.path(), &[]).ended(Exit::Success).out, out);
    let per_weight = agree(folder.path(), &["--per-parameter"]).ended(Exit::Success).out;
    assert_ne!(per_weight, out);
}

#[test]
fn the_table_fits_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    write(&made_up(), folder.path());
    for width in [30, 40, 60, 80, 120] {
        let terminal = Terminal { width, ..Terminal::default() };
        let args = ["agree".into(), folder.path().as_os_str().to_owned(), "--resamples".into(), "100".into()];
        let out = run_on(terminal, args).ended(Exit::Success).out;
        let widest = out.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} columns on a terminal of {width}:\n{out}");
        assert!(out.contains("rho"), "{out}");
        assert_eq!(out.contains("in layers"), width >= 80, "{width}:\n{out}");
    }
}

#[test]
fn files_hold_everything_and_agree_with_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let map = made_up();
    write_measured(&map, &write(&map, folder.path()));
    let file = |name: &str| folder.path().join(name).display().to_string();
    let files = [file("a.md"), file("a.json"), file("a.csv")];
    let outcome =
        agree(folder.path(), &["-o", &files[0], "-o", &files[1], "-o", &files[2], "--json"]).ended(Exit::Success);
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let json: Value = serde_json::from_str(&read(&files[1])).unwrap();
    assert_eq!(json, outcome.json());
    assert_eq!(json["schema"], "tomograph.agreement/1");
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4 + 5);
    let row = |id: &str| rows.iter().find(|r| r["id"] == id).unwrap();
    assert_eq!(row("a-loser")["raw"]["rho"]["value"], -1.0);
    assert_eq!(row("constant")["raw"]["rho"]["status"], "undefined");
    assert!(json["truth"]["reliability"]["ceiling"].as_f64().unwrap() > 0.5);
    let rho = row("a-proxy")["raw"]["rho"]["value"].as_f64().unwrap();
    assert!(json["claim"].as_str().unwrap().starts_with(&format!("a-proxy: rho = {rho:.3} [")));

    let mut csv = csv::Reader::from_path(&files[2]).unwrap();
    let lines: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 9 * 2 * 7);
    let line = lines.iter().find(|l| &l[1] == "a-proxy" && &l[6] == "raw" && &l[7] == "rho").unwrap();
    assert_eq!(line[8].parse::<f64>().unwrap(), rho);

    let markdown = read(&files[0]);
    assert!(markdown.contains(&format!("| `a-proxy` | proxy | {rho:.3} [")), "{markdown}");
    assert!(!markdown.contains("<b>") && !markdown.contains('\u{1b}'), "{markdown}");
}

#[test]
fn intervals_without_sequences_are_said_to_be_of_cells_only() {
    let folder = tempfile::tempdir().unwrap();
    write(&made_up(), folder.path());
    let out = agree(folder.path(), &[]).ended(Exit::Success).out;
    assert!(out.contains("no measured.json") && out.contains("ceiling not"), "{out}");
}

#[test]
fn what_cannot_be_compared_says_what_to_do() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&made_up(), folder.path());
    let err = agree(folder.path(), &["--with", "quant-kl-int4"]).ended(Exit::Failure).err;
    assert!(err.contains("did you mean quant-kl-int3"), "{err}");
    let mut map = made_up();
    map.provenance.model_digest = "another".into();
    write(&map, other.path());
    let both = |more: &[&str]| {
        agree(folder.path(), &[&[other.path().to_str().unwrap(), "--with", "quant-kl-int3"], more].concat())
    };
    let err = both(&[]).ended(Exit::Failure).err;
    assert!(err.contains("another model") && err.contains("--force"), "{err}");
    assert!(both(&["--force"]).ended(Exit::Success).out.contains("is a map of another model"));
    map.columns.retain(|c| c.info.family != "causal");
    write(&map, other.path());
    let err = agree(other.path(), &[]).ended(Exit::Failure).err;
    assert!(err.contains("family causal") && err.contains("found none"), "{err}");
    let err = agree(folder.path(), &["-o", "table.xls"]).ended(Exit::Failure).err;
    assert!(err.contains("table.xls") && err.contains(".csv"), "{err}");
    std::fs::write(folder.path().join("measured.json"), "{}").unwrap();
    let err = agree(folder.path(), &[]).ended(Exit::Failure).err;
    assert!(err.contains("measured.json") && err.contains("schema"), "{err}");
    run(["agree"]).ended(Exit::Usage);
}
