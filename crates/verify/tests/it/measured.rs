use serde_json::{Value, json};
use tomo_map::Grid;
use tomo_testkit::{Within, assert_close};
use tomo_verify::{Agreement, MEASURED_SCHEMA, Measured, Source, agree};

use crate::made_up::{causal, grid, high, map, noise, quick, row, source};

/// `measured.json` with `values` of cell and sequence, tokens of 100 each.
fn file(grid: &Grid, sequences: usize, value: impl Fn(usize, usize) -> Option<f64>) -> Value {
    let cells: Vec<Value> = (0..)
        .zip(&grid.cells)
        .map(|(at, cell)| {
            let of_cell: Vec<Option<f64>> = (0..sequences).map(|s| value(at, s)).collect();
            json!({ "layer": cell.id.layer, "component": cell.id.component, "expert": cell.id.expert, "value": of_cell, "kl": "passed over" })
        })
        .collect();
    json!({
        "schema": MEASURED_SCHEMA, "model_digest": "0123456789abcdef", "text_digest": "feed", "seed": 3,
        "metrics": [{ "metric": "cost", "tokens": vec![100.0; sequences], "cells": cells }],
    })
}

fn read(file: &Value) -> Measured {
    Measured::read(file.to_string().as_bytes()).unwrap()
}

fn made(file: &Value, cost: Vec<f64>, grid: &Grid) -> Agreement {
    let mut map = map(grid, vec![(causal("cost"), cost.clone()), (high("score"), cost)]);
    map.provenance.text_digest = Some("feed".into());
    agree(&[Source { measured: Some(read(file)), ..source(map) }], &quick()).unwrap()
}

#[test]
fn sequences_widen_intervals_and_give_a_ceiling() {
    let grid = grid(12);
    let (cost, noise) = (noise(84, 1), noise(84 * 8, 2));
    let value = |at: usize, s: usize| cost[at] + 1.5 * noise[at * 8 + s];
    let means: Vec<f64> = (0..84).map(|at| (0..8).map(|s| value(at, s)).sum::<f64>() / 8.0).collect();
    let found = made(&file(&grid, 8, |at, s| Some(value(at, s))), means.clone(), &grid);
    assert!(found.truth.resamples_sequences && found.notes.is_empty(), "{:?}", found.notes);
    // Between cells 1, between maps of n sequences 1.5^2 / n: four of eight 1 / (1 + .5625) = .64, all .78. Spearman's is a little
    // lower than Pearson's, and both have a standard error of about .06 at 84 cells.
    let reliability = found.truth.reliability.unwrap();
    assert_close([reliability.half, reliability.whole], [0.62, 0.77], Within::Absolute(0.2));
    assert_close(reliability.ceiling.unwrap(), reliability.whole.sqrt(), Within::Absolute(1e-12));
    assert!(reliability.in_own_decile.unwrap() < 0.5 && reliability.sequences == 8);
    let mut map = map(&grid, vec![(causal("cost"), means), (crate::made_up::high("score"), cost.clone())]);
    map.provenance.text_digest = Some("feed".into());
    let made = |measured| {
        let found = agree(&[Source { measured, ..source(map.clone()) }], &quick()).unwrap();
        (row(&found, "score").raw.rho.clone(), found)
    };
    let (with, _) = made(Some(read(&file(&grid, 8, |at, s| Some(value(at, s))))));
    let (without, found) = made(None);
    assert!(!found.truth.resamples_sequences && found.truth.reliability.is_none());
    assert!(found.notes[0].contains("no measured.json") && found.notes[0].contains("cells only"), "{:?}", found.notes);
    // One value, two intervals: the noise of the sequences is in the first, and turned around lifts its upper end.
    assert_eq!(with.value(), without.value());
    assert!(with.interval().unwrap().1 > without.interval().unwrap().1, "{with:?} {without:?}");
}

#[test]
fn cells_that_got_fewer_sequences_are_said() {
    let grid = grid(12);
    let cost = noise(84, 3);
    let raced = |at: usize, s: usize| (at.is_multiple_of(3) || s < 3).then_some(cost[at]);
    let found = made(&file(&grid, 6, raced), cost.clone(), &grid);
    assert_eq!(found.notes, ["cells were measured on 3 to 6 sequences"]);
    assert_eq!(found.truth.reliability.unwrap().sequences, 3);
    // Scores that are not the means are kept as they are.
    let corrected: Vec<f64> = cost.iter().map(|c| c * 1.01).collect();
    let found = made(&file(&grid, 6, raced), corrected, &grid);
    assert!(found.notes.iter().any(|n| n.contains("not the plain means")), "{:?}", found.notes);
    assert_eq!(row(&found, "score").raw.rho.interval(), Some((1.0, 1.0)));
}

#[test]
fn values_of_another_model_text_or_cell_are_not_used() {
    let grid = grid(12);
    let cost = noise(84, 4);
    let sound = file(&grid, 4, |at, _| Some(cost[at]));
    let broken = |edit: fn(&mut Value)| {
        let mut file = sound.clone();
        edit(&mut file);
        made(&file, cost.clone(), &grid)
    };
    for (edit, word) in [
        ((|f| f["model_digest"] = json!("other")) as fn(&mut Value), "another model or text"),
        (|f| f["text_digest"] = json!("other"), "another model or text"),
        (|f| f["metrics"][0]["metric"] = json!("other"), "not every cell"),
        (|f| drop(f["metrics"][0]["cells"].as_array_mut().unwrap().pop()), "not every cell"),
        (|f| f["metrics"][0]["cells"][3]["value"] = json!([null, null, null, null]), "not every cell"),
    ] {
        let found = broken(edit);
        assert!(!found.truth.resamples_sequences && found.notes[0].contains(word), "{:?}", found.notes);
    }
}

#[test]
fn a_damaged_file_is_an_error_with_its_place() {
    let grid = grid(2);
    let sound = file(&grid, 2, |_, _| Some(1.0));
    for (edit, words) in [
        (
            (|f| f["schema"] = json!("tomograph.measured/9")) as fn(&mut Value),
            "schema: expected \"tomograph.measured/1\"",
        ),
        (|f| f["metrics"][0]["cells"][5]["value"] = json!([1.0]), "metrics[0].cells[5].value: expected 2 values"),
        (|f| f["metrics"][0]["cells"][5]["component"] = json!("attn.z"), "expected the fields of measured.json"),
        (|f| f["metrics"][0]["tokens"] = json!([1.0, -2.0]), "metrics[0].tokens"),
        (
            |f| {
                let again = f["metrics"][0]["cells"][0].clone();
                f["metrics"][0]["cells"].as_array_mut().unwrap().push(again);
            },
            "L0.attn.q again",
        ),
        (
            |f| {
                let again = f["metrics"][0].clone();
                f["metrics"].as_array_mut().unwrap().push(again);
            },
            "metrics[1]: expected metrics that occur once",
        ),
        (|f| drop(f.as_object_mut().unwrap().remove("metrics")), "expected the fields of measured.json"),
    ] {
        let mut file = sound.clone();
        edit(&mut file);
        let error = Measured::read(file.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(Measured::read(b"\x1b[31m not JSON").unwrap_err().to_string().contains("line 1"));
    assert!(Measured::read(&sound.to_string().as_bytes()[..90]).is_err());
}
