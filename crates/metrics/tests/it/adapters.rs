//! An adapter scored from its factors, and the same adapter merged by the peft package and compared as two checkpoints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tomo_checkpoint::{Source, open, open_adapter};
use tomo_map::{CellId, Column, Score, Status};
use tomo_metrics::{AdapterPairs, Cast, ModelPairs, Options, Pairs, Progress, Request, scan_delta, select};
use tomo_model::{Adapter, Change, Changes, Model, OpenOptions};
use tomo_testkit::{MemorySource, Within, assert_close};

const CASES: [&str; 10] =
    ["plain", "patterns", "rslora", "dora", "beside", "biases", "gpt2", "gpt2_dora", "phi3", "experts"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

struct Silent;

impl Progress for Silent {
    fn start(&self, _: usize, _: u64) {}
    fn cell_done(&self, _: CellId, _: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A base, its adapter, and the base with the adapter merged.
struct Pair {
    base: Model,
    merged: Model,
    changes: Changes,
}

impl Pair {
    fn read(case: &str) -> Self {
        let folder = fixtures().join("adapters").join(case);
        let about: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("peft.json")).unwrap()).unwrap();
        let source = open(&fixtures().join(about["base"].as_str().unwrap())).unwrap();
        let changed = open(&folder.join("merged.safetensors")).unwrap();
        let mut merged = MemorySource::new(source.config().clone());
        for from in [&source, &changed] {
            merged = add_all(merged, from.as_ref());
        }
        let model = |source: Arc<dyn Source>| Model::open(source, &OpenOptions::default()).unwrap();
        let base = model(source);
        let adapter = Arc::new(Adapter::open(&open_adapter(&folder).unwrap().unwrap()).unwrap());
        let changes = adapter.against(&base).unwrap();
        Self { base, merged: model(Arc::new(merged)), changes }
    }

    fn dense(&self, cast: Option<Cast>) -> Vec<Column> {
        scan(&ModelPairs::new(&self.merged, &self.base, false).unwrap().rounded_to(cast))
    }

    fn factored(&self, cast: Option<Cast>) -> Vec<Column> {
        scan(&AdapterPairs::new(&self.changes, Some(&self.base)).rounded_to(cast))
    }
}

fn add_all(mut to: MemorySource, from: &dyn Source) -> MemorySource {
    for tensor in from.tensors() {
        let mut values = vec![0.0; tensor.numel() as usize];
        from.decode(&tensor.name, 0..tensor.numel(), &mut values).unwrap();
        to = to.with(&tensor.name, &tensor.shape, values);
    }
    to
}

fn scan(pairs: &dyn Pairs) -> Vec<Column> {
    let options = Options { subspace_rank: 4, ..Options::default() };
    let request = Request { metrics: select("delta").unwrap(), options, ..Request::default() };
    scan_delta(pairs, &request, &Silent).unwrap()
}

fn compare(case: &str, found: &[Column], expected: &[Column], within: f64) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.info.id, expected.info.id);
        for (cell, (a, b)) in found.scores.iter().zip(&expected.scores).enumerate() {
            let place = format!("{case} {} cell {cell}: {a:?} and {b:?}", found.info.id);
            assert_eq!(a.status(), b.status(), "{place}");
            let (Some(a), Some(b)) = (a.value(), b.value()) else { continue };
            // What is 0 on one side only is no match; what is tiny on both is compared with 1e-12.
            assert!((a - b).abs() <= within * b.abs() + 1e-12, "{place}");
        }
    }
}

#[test]
fn factors_score_as_the_merged_model_does() {
    for case in CASES {
        let pair = Pair::read(case);
        let (found, expected) = (pair.factored(None), pair.dense(None));
        assert!(found.len() >= 15, "{} metrics", found.len());
        compare(case, &found, &expected, 1e-5);
        // Something was compared: the cells that the adapter hits have values, the others are exact zeros.
        let relative = found.iter().find(|c| c.info.id == "delta-relative").unwrap();
        for (change, score) in pair.changes.cells().iter().zip(&relative.scores) {
            let value = score.value().unwrap();
            assert!(if *change == Change::None { value == 0.0 } else { value > 1e-3 }, "{case}: {value}");
        }
    }
}

/// What peft left in bf16, and what it says of the cells that it did not touch: nothing.
#[test]
fn rounded_to_bf16_they_score_as_a_model_merged_in_bf16() {
    let pair = Pair::read("bf16");
    compare("bf16", &pair.factored(Some(Cast::Bf16)), &pair.dense(None), 1e-12);
}

/// The rank is that of the factors, whatever rounding makes of a merged file.
#[test]
fn the_rank_is_exact() {
    let pair = Pair::read("bf16");
    let rank = |columns: &[Column]| columns.iter().find(|c| c.info.id == "delta-rank").unwrap().scores.clone();
    let hit = |scores: Vec<Score>| {
        let cells = pair.changes.grid().cells.iter().zip(pair.changes.cells()).zip(scores);
        let hit = cells.filter(|((_, change), _)| **change != Change::None);
        hit.map(|((cell, _), s)| s.value().unwrap() * cell.out_features.min(cell.in_features) as f64)
            .collect::<Vec<_>>()
    };
    let found = hit(rank(&pair.factored(None)));
    assert_close(&found, vec![4.0; found.len()], Within::Relative(1e-12));
    // Merged in bf16 they are of full rank: 36, or 16 for v.
    assert!(hit(rank(&pair.dense(None))).iter().all(|rank| *rank >= 16.0));
}

#[test]
fn without_a_base_there_is_what_the_factors_say() {
    let pair = Pair::read("plain");
    let alone = Arc::new(Adapter::open(&open_adapter(&fixtures().join("adapters/plain")).unwrap().unwrap()).unwrap());
    let alone = alone.alone().unwrap();
    let (found, expected) = (scan(&AdapterPairs::new(&alone, None)), pair.factored(None));
    let known = ["density-lower-bound", "delta-rank", "delta-stable-rank", "delta-effective-rank"];
    for (found, expected) in found.iter().zip(&expected) {
        let is_known = known.contains(&found.info.id.as_ref());
        for (a, b) in found.scores.iter().zip(&expected.scores) {
            if is_known {
                assert_close(a.value().unwrap(), b.value().unwrap(), Within::Relative(1e-12));
            } else {
                assert_eq!(a.status(), Status::NotApplicable, "{}", found.info.id);
                assert!(a.reason().unwrap().contains("--against BASE"), "{a:?}");
            }
        }
    }
    let dora = Arc::new(Adapter::open(&open_adapter(&fixtures().join("adapters/dora")).unwrap().unwrap()).unwrap());
    let columns = scan(&AdapterPairs::new(&dora.alone().unwrap(), None));
    assert!(columns.iter().flat_map(|c| &c.scores).all(|s| s.status() == Status::NotApplicable));
}
