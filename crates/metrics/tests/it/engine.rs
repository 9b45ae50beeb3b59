//! The observers on passes of the engine itself.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tomo_metrics::{Activations, Imatrix, ImatrixObserver, Options, select};
use tomo_model::engine::{Engine, EngineOptions, Observer, Until, Unwatched};
use tomo_model::{Model, OpenOptions};

use crate::taps::{fixtures, name};

pub(crate) fn open(path: &Path) -> Arc<Model> {
    Arc::new(Model::open(tomo_checkpoint::open(path).unwrap(), &OpenOptions::default()).unwrap())
}

fn pass(model: &Arc<Model>, sequences: &[Vec<u32>], observers: &[&dyn Observer], options: EngineOptions) {
    let architecture = model.architecture().unwrap();
    let engine = Engine::new(model.clone(), architecture, options).unwrap();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let plan = engine.plan(&lengths, observers, 0, Until::LastBlock).unwrap();
    let outcome = engine.forward(sequences, observers, &plan, Until::LastBlock, &Unwatched).unwrap();
    assert!(outcome.completed);
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The two sequences of a case.
pub(crate) fn tokens(case: &str) -> Vec<Vec<u32>> {
    let bytes = std::fs::read(fixtures().join("parity").join(case).join("forward.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let sequence = |s: usize| {
        let tensor = file.tensor(&format!("tokens.{s}")).unwrap();
        tensor.data().as_chunks::<8>().0.iter().map(|b| u32::try_from(i64::from_le_bytes(*b)).unwrap()).collect()
    };
    vec![sequence(0), sequence(1)]
}

/// From token numbers to scores, against numpy on the taps of transformers.
#[test]
fn scores_of_a_pass_are_those_of_numpy() {
    let golden = json(&fixtures().join("golden/activations.json"));
    let options = Options { outlier_factor: 2.0, ..Options::default() };
    for (case, cells) in golden["cases"].as_object().unwrap() {
        let model = open(&fixtures().join("parity").join(case));
        let sequences = tokens(case);
        let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
        let activations = Activations::new(&model, &select("activations,error@x").unwrap(), &options, &lengths);
        let imatrix = ImatrixObserver::new(&model, &lengths, false, false);
        pass(&model, &sequences, &[&activations, &imatrix], EngineOptions::default());
        for column in activations.finish() {
            for (cell, score) in column.scores.iter().enumerate() {
                let at = name(&model, cell);
                let Some(expected) = cells[&at].get(column.info.id.as_ref()) else {
                    assert_eq!(score.value(), None, "{case} {at} {}", column.info.id);
                    continue;
                };
                let (value, expected) = (score.value().unwrap(), expected["value"].as_f64().unwrap());
                // A weight at the threshold may fall on either side.
                let slack = if column.info.id == "owl-outliers" { 0.2 } else { 2e-5 * expected.abs().max(1e-2) };
                assert!((value - expected).abs() <= slack, "{case} {at} {}: {value} {expected}", column.info.id);
            }
        }
        if let Ok(expected) = Imatrix::read(&fixtures().join(format!("imatrix/{case}.gguf"))) {
            let ours = imatrix.finish(Vec::new(), 8);
            for (name, entry) in &expected.entries {
                assert_eq!(ours.entries[name].counts, entry.counts, "{name}");
                let pairs = ours.entries[name].in_sum2.iter().zip(&entry.in_sum2);
                pairs.for_each(|(a, b)| assert!((a - b).abs() <= 2e-5 * b, "{name}: {a} {b}"));
            }
        }
    }
}

/// Scores do not depend on threads beyond what the engine's sums do, and not on streaming at all.
#[test]
fn streamed_and_resident_passes_score_alike() {
    let model = open(&fixtures().join("parity/mixtral"));
    let sequences = tokens("mixtral");
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let run = |streamed: bool| {
        let selected = select("activations,error@x").unwrap();
        let activations = Activations::new(&model, &selected, &Options::default(), &lengths);
        let options = EngineOptions { streamed, threads: Some(2), ..EngineOptions::default() };
        pass(&model, &sequences, &[&activations], options);
        activations.finish()
    };
    assert_eq!(run(true), run(false));
}

/// The real model, against torch hooks on the dequantized weights; prints the worst deviation of every metric.
#[test]
#[ignore = "needs SmolLM2; see CONTRIBUTING.md"]
fn smollm2_scores_are_those_of_torch() {
    let model = open(Path::new(&std::env::var("TOMOGRAPH_SMOLLM2").expect("TOMOGRAPH_SMOLLM2 names the GGUF file")));
    let golden = json(&fixtures().join("golden/smollm2-forward.json"));
    let tokens = json(&fixtures().join("golden/smollm2-tokens.json"));
    let sequences: Vec<Vec<u32>> = serde_json::from_value(tokens).unwrap();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let activations = Activations::new(&model, &select("activations,error@x").unwrap(), &Options::default(), &lengths);
    pass(&model, &sequences, &[&activations], EngineOptions::default());
    let cells: Vec<String> = (0..model.cells().len()).map(|cell| name(&model, cell)).collect();
    let listed = golden["cells"].as_array().unwrap().iter();
    let listed: Vec<String> = listed.map(|c| format!("L{}.{}", c["layer"], c["component"].as_str().unwrap())).collect();
    let mut worst = Vec::new();
    for column in activations.finish() {
        let id = column.info.id.as_ref();
        let mut deviation: f64 = 0.0;
        for (cell, score) in column.scores.iter().enumerate() {
            let layer = model.cells()[cell].id.layer as usize;
            let at = listed.iter().position(|known| *known == cells[cell]).unwrap();
            let expected = match id {
                "block-influence" => &golden["layers"][id][layer],
                "owl-outliers" => &golden["columns"]["owl-outliers:5"][at],
                _ => &golden["columns"][id][at],
            };
            match (expected.as_f64(), score.value()) {
                (Some(expected), Some(value)) => {
                    assert!(score.interval().is_some_and(|(low, high)| low <= high), "{id} {}", cells[cell]);
                    deviation = deviation.max((value - expected).abs() / expected.abs().max(1e-3));
                }
                (None, None) => {}
                other => panic!("{id} {}: {other:?}", cells[cell]),
            }
        }
        worst.push((id.to_owned(), deviation));
    }
    for (id, deviation) in &worst {
        writeln!(std::io::stderr(), "{id:16} {deviation:.1e}").unwrap();
    }
    assert!(worst.iter().all(|(_, deviation)| *deviation < 1e-4), "{worst:?}");
}
