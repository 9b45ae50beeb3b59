//! The project's own scan of the phantom, from the file to the facts.

use tomo_map::{CellId, Map};
use tomo_metrics::{Progress, Request, scan, select};
use tomo_model::{Model, OpenOptions};
use tomo_phantom::{Plan, facts, write_with};

struct Silence;

impl Progress for Silence {
    fn start(&self, _: usize, _: u64) {}
    fn cell_done(&self, _: CellId, _: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn scanned(seed: u64, plan: &Plan) -> Map {
    let dir = tempfile::tempdir().unwrap();
    write_with(dir.path(), seed, plan).unwrap();
    let source = tomo_checkpoint::open(dir.path()).unwrap();
    let model = Model::open(source, &OpenOptions::default()).unwrap();
    assert_eq!(model.family(), "llama");
    let wanted: Vec<_> = facts().iter().flat_map(|f| f.metrics).copied().collect();
    let request = Request { metrics: select(&wanted.join(",")).unwrap(), ..Request::default() };
    let columns = scan(&model, &request, &Silence).unwrap();
    Map { grid: model.grid().clone(), columns, ..Map::default() }
}

#[test]
fn the_scan_recovers_what_was_planted() {
    for seed in [0, 1, 50] {
        let map = scanned(seed, &Plan::default());
        for fact in facts() {
            let outcome = fact.check(&map);
            assert!(outcome.recovered, "seed {seed}: {}: {}", fact.id, outcome.evidence);
        }
    }
}

#[test]
fn the_scan_recovers_nothing_that_was_not_planted() {
    let map = scanned(0, &Plan::nothing());
    for fact in facts() {
        let outcome = fact.check(&map);
        assert!(!outcome.recovered, "{}: {}", fact.id, outcome.evidence);
    }
}
