//! Causal metrics on runs of the engine.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tomo_map::{Column, Component, Status};
use tomo_metrics::{Causal, Found, Keep, Measured, Options, select};
use tomo_model::Model;
use tomo_model::engine::{Engine, EngineOptions, PassProgress, Unwatched};

use crate::engine::{open, tokens};
use crate::taps::fixtures;

/// One fixture of every family.
const FAMILIES: [&str; 18] = [
    "arcee",
    "gemma",
    "gemma2",
    "gemma3",
    "gpt2",
    "gpt_neox",
    "granite",
    "llama",
    "mistral",
    "mixtral",
    "olmo2",
    "olmoe",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3_moe",
    "smollm3",
    "starcoder2",
];
const ALL: &str = "quant-kl-int3,quant-kl-q4_0,noise-alpha,ablate-zero,ablate-mean,ablate-resample,lowrank-kl";

fn options() -> Options {
    Options { group: 8, resamples: 200, noise_seeds: 1, exact: true, ..Options::default() }
}

fn lengths(sequences: &[Vec<u32>]) -> Vec<usize> {
    sequences.iter().map(Vec::len).collect()
}

/// A model ready to run.
struct Ready {
    model: Arc<Model>,
    engine: Engine,
}

impl Ready {
    fn new(model: &Arc<Model>, options: EngineOptions) -> Self {
        Self {
            model: model.clone(),
            engine: Engine::new(model.clone(), model.architecture().unwrap(), options).unwrap(),
        }
    }
}

fn planned(ready: &Ready, spec: &str, options: &Options, sequences: &[Vec<u32>], keep: Option<Keep>) -> Causal {
    let selected = select(spec).unwrap();
    let Ready { model, engine } = ready;
    Causal::new(engine, model, &selected, options, &lengths(sequences), None, keep).unwrap().unwrap()
}

fn scan(ready: &Ready, spec: &str, options: &Options, sequences: &[Vec<u32>]) -> (Vec<Column>, Vec<Measured>) {
    let mut causal = planned(ready, spec, options, sequences, None);
    assert!(causal.run(&ready.engine, sequences, &Unwatched).unwrap());
    (causal.columns(), causal.measured())
}

/// The trained model of bytes, on 8 short sequences.
fn demo() -> (Arc<Model>, Vec<Vec<u32>>) {
    let text = fs::read(fixtures().join("demo/prose.jsonl")).unwrap();
    let sequence = |at: usize| text[at * 40..at * 40 + 12].iter().map(|b| u32::from(*b)).collect();
    (open(&fixtures().join("demo/base")), (0..8).map(sequence).collect())
}

#[test]
fn every_family_keeps_the_equations() {
    for case in FAMILIES {
        let model = open(&fixtures().join("parity").join(case));
        let sequences = tokens(case);
        let (columns, measured) = scan(&Ready::new(&model, EngineOptions::default()), ALL, &options(), &sequences);
        for (column, measured) in columns.iter().zip(&measured) {
            let id = column.info.id.as_ref();
            assert_eq!((id, column.info.proxy), (measured.metric.as_str(), false));
            for (at, score) in column.scores.iter().enumerate() {
                let cell = model.cells()[at].id;
                let Some(value) = score.value() else {
                    let no_partner = id == "ablate-resample" && cell.expert.is_some();
                    assert!(no_partner && score.status() == Status::NotApplicable, "{case} {id} {cell}: {score:?}");
                    continue;
                };
                assert!(value >= 0.0, "{case} {id} {cell}: {value}");
                if value > 0.0 {
                    let (low, high) = score.interval().unwrap();
                    assert!(low <= value * (1.0 + 1e-12) && value <= high * (1.0 + 1e-12), "{case} {id} {cell}");
                }
            }
            recomputed(column, measured);
        }
        let streamed = EngineOptions { streamed: true, ..EngineOptions::default() };
        let (again, measured_again) = scan(&Ready::new(&model, streamed), ALL, &options(), &sequences);
        assert!(columns == again && measured == measured_again, "{case}: streamed is not resident");
    }
}

/// A score is the mean of the values of its sequences by tokens, and a value follows from what the variants did: KL of a single
/// one, `sum t^2 KL / sum t^4` of several sizes of noise.
fn recomputed(column: &Column, measured: &Measured) {
    let tokens: Vec<f64> = measured.tokens.iter().map(|t| *t as f64).collect();
    for cell in &measured.cells {
        let values: Vec<f64> = cell.value.iter().map(|v| v.unwrap()).collect();
        let sum: f64 = values.iter().zip(&tokens).map(|(v, t)| v * t).sum();
        let expected = sum / tokens.iter().sum::<f64>();
        let found = column.scores.iter().filter_map(|s| s.value());
        assert!(found.into_iter().any(|v| (v - expected).abs() <= 1e-12 * expected), "{}", cell.id);
        for (s, value) in values.iter().enumerate() {
            let kl: Vec<f64> = cell.variants.iter().map(|v| v.kl[s].unwrap()).collect();
            let expected = match kl.as_slice() {
                [one] => *one,
                [a, b, c, d] => (0.0025 * a + 0.01 * b + 0.0225 * c + 0.04 * d) / 0.002_212_5,
                other => panic!("{} variants", other.len()),
            };
            assert!((value - expected).abs() <= 1e-9 * expected, "{}: {value} {expected}", cell.id);
        }
        for variant in &cell.variants {
            assert!(variant.top1.iter().all(|share| (0.0..=1.0).contains(&share.unwrap())), "{}", variant.edit);
        }
    }
}

/// Of a gated MLP without biases, zero has three distinct columns, and those that are equal are run once.
#[test]
fn ablation_to_zero_has_three_columns() {
    let model = open(&fixtures().join("parity/llama"));
    let sequences = tokens("llama");
    let ready = Ready::new(&model, EngineOptions::default());
    let causal = planned(&ready, "ablate-zero", &options(), &sequences, None);
    assert_eq!(causal.plan().variants, 3 * model.grid().layers as usize);
    let (columns, measured) = scan(&ready, "ablate-zero", &options(), &sequences);
    let of = |layer: u32, component| {
        let at = model.cells().iter().position(|c| (c.id.layer, c.id.component) == (layer, component)).unwrap();
        columns[0].scores[at].clone()
    };
    for layer in 0..model.grid().layers {
        use Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};
        for (a, b) in [(AttnQ, AttnK), (AttnV, AttnO), (MlpUp, MlpDown), (MlpUp, MlpGate)] {
            assert_eq!(of(layer, a), of(layer, b));
        }
        assert_ne!(of(layer, AttnQ), of(layer, AttnV));
        assert_ne!(of(layer, AttnQ), of(layer, MlpUp));
    }
    let copies = measured[0].cells.iter().filter(|cell| cell.same_as.is_some()).count();
    assert_eq!(copies, 4 * model.grid().layers as usize);
    assert!(columns[0].info.scope.shared().is_some_and(|words| words.contains("three distinct columns")));
}

/// Ends a scan after so many steps.
struct After(AtomicUsize);

impl PassProgress for After {
    fn start(&self, _steps: usize) {}

    fn step(&self, _layer: u32) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

fn keep(folder: &Path, key: &str) -> Keep {
    Keep { folder: folder.join("causal"), key: key.to_owned() }
}

/// Ended again and again, after any number of steps, a scan that goes on ends in the same bits.
#[test]
fn a_scan_goes_on_to_the_same_bits() {
    let (model, sequences) = demo();
    // Every chance to save within a round is taken.
    let ready = Ready::new(&model, EngineOptions { save_every: Some(0), ..EngineOptions::default() });
    let options = Options { exact: false, ..options() };
    let spec = "quant-kl-int3,ablate-mean";
    let (columns, measured) = scan(&ready, spec, &options, &sequences);
    for steps in [1, 7, 40, 200] {
        let folder = tempfile::tempdir().unwrap();
        let (mut ended, mut found_some) = (0, false);
        loop {
            let mut causal = planned(&ready, spec, &options, &sequences, Some(keep(folder.path(), "a")));
            found_some |= matches!(causal.plan().found, Found::State { .. });
            // Every time a little longer, so that even one step at a time comes to an end.
            let progress = After(AtomicUsize::new(steps * (ended + 1)));
            if causal.run(&ready.engine, &sequences, &progress).unwrap() {
                assert!(causal.columns() == columns && causal.measured() == measured, "{steps}");
                break;
            }
            ended += 1;
        }
        assert!(ended > 1 && found_some, "{steps}: ended {ended} times");
    }
}

#[test]
fn what_is_kept_of_another_scan_is_not_used() {
    let (model, sequences) = demo();
    let ready = Ready::new(&model, EngineOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let kept = |key: &str| planned(&ready, "ablate-zero", &options(), &sequences, Some(keep(folder.path(), key)));
    assert_eq!(kept("a").plan().found, Found::Nothing);
    assert!(kept("a").run(&ready.engine, &sequences, &Unwatched).unwrap());
    assert!(matches!(kept("a").plan().found, Found::State { done, of } if done == of && of > 0));
    assert_eq!(kept("b").plan().found, Found::Other);
    // Cut anywhere, it is no state.
    let path = folder.path().join("causal/measured.state");
    let whole = fs::read(&path).unwrap();
    for cut in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(kept("a").plan().found, Found::Other, "{cut}");
    }
}

/// Cells that saw everything have the scores of the exact scan to the bit; the others have wider intervals, and the map says how
/// many sequences each got.
#[test]
fn racing_leaves_the_highest_tenth_as_it_is() {
    let (model, sequences) = demo();
    let ready = Ready::new(&model, EngineOptions::default());
    let (exact, _) = scan(&ready, "quant-kl-int2", &options(), &sequences);
    let racing = Options { exact: false, ..options() };
    let causal = planned(&ready, "quant-kl-int2", &racing, &sequences, None);
    assert_eq!(causal.plan().racing, Some((196, 7)));
    assert_eq!(causal.plan().first, 2 * 189 + 8 * 7);
    let (raced, measured) = scan(&ready, "quant-kl-int2", &racing, &sequences);
    let measurement = raced[0].measurement.as_ref().unwrap();
    let mut counts = [0; 2];
    for (at, n) in measurement.sequences.iter().enumerate() {
        let (score, exact) = (&raced[0].scores[at], &exact[0].scores[at]);
        assert_eq!(measured[0].cells[at].value.iter().flatten().count(), *n as usize);
        if *n == 8 {
            assert_eq!(score, exact);
            counts[0] += 1;
        } else {
            assert!(*n >= 2 && score.interval().is_some());
            counts[1] += 1;
        }
    }
    assert!(counts[0] > 7 && counts[1] > 98, "{counts:?}");
    assert!(measurement.raced().is_some_and(|raced| raced.cells == counts[1] && raced.sequences == 8));
    let reliability = exact[0].measurement.as_ref().unwrap().reliability.unwrap();
    assert!(reliability.sequences == 8 && reliability.half > 0.5 && reliability.whole > reliability.half);
    assert!(exact[0].measurement.as_ref().unwrap().raced().is_none());
}

#[test]
fn what_was_not_measured_has_no_score() {
    let (model, sequences) = demo();
    let ready = Ready::new(&model, EngineOptions::default());
    let mut causal = planned(&ready, "ablate-zero,quant-kl-int3", &options(), &sequences, None);
    assert!(!causal.run(&ready.engine, &sequences, &After(AtomicUsize::new(3))).unwrap());
    for column in causal.columns() {
        assert!(column.scores.iter().all(|s| s.status() == Status::NotMeasured), "{}", column.info.id);
        assert!(column.measurement.unwrap().sequences.iter().all(|n| *n == 0));
    }
}

/// The tuned model's cells in the base model; the base model's own change nothing, exactly.
#[test]
fn cells_of_another_checkpoint_take_the_place_of_these() {
    let (model, sequences) = demo();
    let ready = Ready::new(&model, EngineOptions::default());
    let selected = select("patch-kl").unwrap();
    let patched = |base: &Path| {
        let base = Some(open(base));
        let mut causal = Causal::new(&ready.engine, &model, &selected, &options(), &lengths(&sequences), base, None)
            .unwrap()
            .unwrap();
        assert!(causal.run(&ready.engine, &sequences, &Unwatched).unwrap());
        causal.columns().remove(0)
    };
    let tuned = patched(&fixtures().join("demo/tuned"));
    assert!(tuned.scores.iter().any(|s| s.value().is_some_and(|v| v > 1e-6)));
    let itself = patched(&fixtures().join("demo/base"));
    assert!(itself.scores.iter().all(|s| s.value() == Some(0.0) && s.reason().is_some()));
    let other = patched(&fixtures().join("parity/llama"));
    assert!(other.scores.iter().all(|s| s.status() == Status::NotApplicable), "{:?}", other.scores[0]);
    assert!(Causal::new(&ready.engine, &model, &selected, &options(), &lengths(&sequences), None, None).is_err());
}

/// The line through the noise of a cell is exact where damage is small, and said to bend where it is not.
#[test]
fn noise_has_a_slope_and_its_fit() {
    let (model, sequences) = demo();
    let ready = Ready::new(&model, EngineOptions::default());
    let small = Options { noise_levels: vec![0.002, 0.004, 0.006, 0.008], noise_seeds: 2, ..options() };
    let (_, measured) = scan(&ready, "noise-alpha", &small, &sequences);
    let r2: Vec<f64> = measured[0].cells.iter().filter_map(|cell| cell.r2).collect();
    assert!(r2.iter().filter(|r2| **r2 > 0.9).count() > r2.len() * 9 / 10, "{r2:?}");
    let large = Options { noise_levels: vec![1.0, 2.0, 4.0, 8.0], ..options() };
    let (columns, _) = scan(&ready, "noise-alpha", &large, &sequences);
    let bent = columns[0].scores.iter().filter(|s| s.reason().is_some_and(|r| r.contains("R2"))).count();
    assert!(bent > columns[0].scores.len() / 2, "{bent}");
}
