//! Every parity fixture: the forward pass against transformers in float32 (`tools/reference/forward.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};
use tomo_model::engine::{Engine, EngineOptions, Until, Unwatched};
use tomo_model::{Model, OpenOptions};

use crate::recorder::Recorder;
use crate::source::fixtures;

/// Of the largest logit.
const LOGITS: f64 = 2e-5;
/// Of a sequence's mean loss, or of 1 nat where that is more: logits of 25 have an ulp of 2e-6.
const LOSS: f64 = 1e-6;
/// Of a tap's largest entry.
const TAPS: f64 = 1e-5;

/// What transformers computed for one case.
pub(crate) struct Reference {
    pub(crate) tensors: BTreeMap<String, Vec<f64>>,
    pub(crate) sequences: Vec<Vec<u32>>,
}

impl Reference {
    pub(crate) fn read(folder: &Path) -> Self {
        Self::read_file(folder, "forward.safetensors")
    }

    pub(crate) fn read_file(folder: &Path, name: &str) -> Self {
        let bytes = fs::read(folder.join(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let values: Vec<f64> = match view.dtype() {
                Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
                Dtype::F64 => view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
                Dtype::I64 => view.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
                other => panic!("{name} is {other:?}"),
            };
            tensors.insert(name.clone(), values);
        }
        let tokens = (0..).map_while(|s| tensors.get(&format!("tokens.{s}")));
        let sequences = tokens.map(|ids| ids.iter().map(|id| *id as u32).collect()).collect();
        Self { tensors, sequences }
    }
}

/// Folders of all cases with a reference.
pub(crate) fn cases() -> Vec<PathBuf> {
    let all = fs::read_dir(fixtures().join("parity")).unwrap().map(|e| e.unwrap().path());
    let mut cases: Vec<PathBuf> = all.filter(|p| p.join("forward.safetensors").exists()).collect();
    cases.sort();
    assert!(cases.len() >= 69, "only {} cases", cases.len());
    cases
}

fn engine(folder: &Path, streamed: bool, threads: usize) -> Engine {
    let model = Model::open(tomo_checkpoint::open(folder).unwrap(), &OpenOptions::default()).unwrap();
    let architecture = model.architecture().unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let options =
        EngineOptions { threads: Some(threads), memory_bytes: Some(1 << 30), streamed, ..EngineOptions::default() };
    Engine::new(Arc::new(model), architecture, options).unwrap()
}

fn run(engine: &Engine, sequences: &[Vec<u32>], recorder: &Recorder) -> Vec<Vec<f64>> {
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let plan = engine.plan(&lengths, &[recorder], 0, Until::Loss).unwrap();
    let outcome = engine.forward(sequences, &[recorder], &plan, Until::Loss, &Unwatched).unwrap();
    assert!(outcome.completed);
    outcome.losses
}

/// The largest difference over the largest entry of the reference; NaN anywhere is infinite.
fn deviation(got: &[f32], expected: &[f64]) -> f64 {
    if got.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let worst = got.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
    let worst = worst.fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
    // Exactly zero where all of the reference is, or infinitely off.
    if worst == 0.0 { 0.0 } else { worst / largest }
}

/// What of `folder` differs from the reference by more than it may.
fn failures(folder: &Path, engine: &Engine, reference: &Reference) -> Vec<String> {
    let recorder = Recorder::default();
    let losses = run(engine, &reference.sequences, &recorder);
    let mut wrong = Vec::new();
    for (s, losses) in losses.iter().enumerate() {
        let expected = &reference.tensors[&format!("losses.{s}")];
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let difference = (mean(losses) - mean(expected)).abs() / mean(expected).max(1.0);
        if !(difference <= LOSS && losses.len() == expected.len()) {
            wrong.push(format!("loss of sequence {s}: {} for {}", mean(losses), mean(expected)));
        }
        let logits = engine.logits(&reference.sequences[s]).unwrap();
        let off = deviation(&logits, &reference.tensors[&format!("logits.{s}")]);
        if off > LOGITS {
            wrong.push(format!("logits of sequence {s}: {off:.1e}"));
        }
    }
    let taps = recorder.taps.lock().unwrap();
    let mut compared = 0;
    for (name, (_, values)) in taps.iter() {
        // Rows gathered for an expert are rows of mlp.in; the fixture has them once.
        let Some(expected) = reference.tensors.get(name) else {
            assert!(name.contains("mlp[") && name.contains(".in"), "{} has no {name}", folder.display());
            continue;
        };
        compared += 1;
        let off = deviation(values, expected);
        if off > TAPS {
            wrong.push(format!("{name}: {off:.1e}"));
        }
    }
    let layer_taps = reference.tensors.keys().filter(|n| n.starts_with('L')).count();
    // Experts' shared input is not handed out as such.
    let unseen = reference.tensors.keys().filter(|n| n.starts_with('L') && !taps.contains_key(*n));
    let unseen: Vec<_> = unseen.filter(|n| !(n.contains(".mlp.in.") && is_mixture(reference, n))).collect();
    assert!(unseen.is_empty() && compared >= layer_taps / 2, "{}: never seen {unseen:?}", folder.display());
    wrong
}

fn is_mixture(reference: &Reference, name: &str) -> bool {
    let layer = name.split('.').next().unwrap();
    reference.tensors.keys().any(|n| n.starts_with(&format!("{layer}.router")))
}

fn report(all: Vec<(String, Vec<String>)>) {
    let wrong: Vec<String> = all
        .into_iter()
        .filter(|(_, wrong)| !wrong.is_empty())
        .map(|(case, wrong)| {
            format!("{case}:\n    {}", wrong.iter().take(6).cloned().collect::<Vec<_>>().join("\n    "))
        })
        .collect();
    assert!(wrong.is_empty(), "{} cases differ from transformers\n  {}", wrong.len(), wrong.join("\n  "));
}

#[test]
fn every_case_equals_transformers() {
    let check = |folder: PathBuf| {
        let reference = Reference::read(&folder);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        (name, failures(&folder, &engine(&folder, false, 2), &reference))
    };
    report(cases().into_iter().map(check).collect());
}

#[test]
fn the_older_dialect_of_a_config_means_the_same() {
    let mut seen = 0;
    let mut all = Vec::new();
    for folder in cases().into_iter().filter(|f| f.join("config.v4.json").exists()) {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(folder.join("model.safetensors"), copy.path().join("model.safetensors")).unwrap();
        fs::copy(folder.join("config.v4.json"), copy.path().join("config.json")).unwrap();
        let reference = Reference::read(&folder);
        all.push((folder.display().to_string(), failures(&folder, &engine(copy.path(), false, 2), &reference)));
        seen += 1;
    }
    assert!(seen >= 6);
    report(all);
}

/// What llama.cpp's own converter made of the same models.
#[test]
fn a_converted_model_computes_the_same() {
    let mut all = Vec::new();
    for folder in cases().into_iter().filter(|f| f.join("model.gguf").exists()) {
        let reference = Reference::read(&folder);
        let engine = engine(&folder.join("model.gguf"), false, 2);
        all.push((folder.display().to_string(), failures(&folder, &engine, &reference)));
    }
    assert!(all.len() >= 22, "only {} converted models", all.len());
    report(all);
}

/// Bits do not depend on whether blocks stay in memory; numbers hardly on the number of threads.
#[test]
fn streamed_equals_resident_and_threads_agree() {
    for folder in cases() {
        let reference = Reference::read(&folder);
        let taken = |streamed, threads| {
            let recorder = Recorder::default();
            let losses = run(&engine(&folder, streamed, threads), &reference.sequences, &recorder);
            (losses, recorder.taps.into_inner().unwrap())
        };
        let resident = taken(false, 2);
        assert!(resident == taken(true, 2), "{}: streamed and resident differ", folder.display());
        let (losses, taps) = taken(false, 1);
        for (a, b) in losses.iter().flatten().zip(resident.0.iter().flatten()) {
            assert!((a - b).abs() <= 1e-5 * b.abs(), "{}: {a} with one thread, {b} with two", folder.display());
        }
        for (name, (_, values)) in &taps {
            let expected: Vec<f64> = resident.1[name].1.iter().map(|x| f64::from(*x)).collect();
            let off = deviation(values, &expected);
            assert!(off <= 1e-5, "{} {name}: {off:.1e} between one thread and two", folder.display());
        }
    }
}

/// residual out = residual in + what attention adds + what the MLP adds.
#[test]
fn the_residual_law_holds() {
    for folder in cases() {
        let reference = Reference::read(&folder);
        let recorder = Recorder::default();
        run(&engine(&folder, false, 2), &reference.sequences, &recorder);
        let taps = recorder.taps.lock().unwrap();
        let mut layers = 0;
        for (name, (_, out)) in taps.iter().filter(|(name, _)| name.contains("residual_out")) {
            let part = |what| &taps[&name.replace("residual_out", what)].1;
            let (before, attention, mlp) = (part("residual_in"), part("attention_add"), part("mlp_add"));
            for (((out, before), a), m) in out.iter().zip(before).zip(attention).zip(mlp) {
                let sum = f64::from(*before) + f64::from(*a) + f64::from(*m);
                let size = before.abs().max(a.abs()).max(m.abs());
                assert!((f64::from(*out) - sum).abs() <= 3e-7 * f64::from(size), "{} {name}", folder.display());
            }
            layers += 1;
        }
        assert!(layers > 0);
        // Every cell was weighed once.
        let mut weighed = recorder.weighed.lock().unwrap().clone();
        weighed.sort_unstable();
        assert!(weighed.iter().copied().eq(0..weighed.len()) && !weighed.is_empty(), "{}", folder.display());
    }
}
