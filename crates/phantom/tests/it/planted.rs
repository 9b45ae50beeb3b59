use std::collections::BTreeSet;
use std::fs;

use safetensors::SafeTensors;
use tomo_map::{Map, Score, Status};
use tomo_phantom::{Plan, facts, write, write_with};

use crate::measured;

fn map_of(seed: u64, plan: &Plan) -> Map {
    let dir = tempfile::tempdir().unwrap();
    write_with(dir.path(), seed, plan).unwrap();
    measured::map(dir.path())
}

#[test]
fn every_fact_is_recovered_for_every_seed() {
    let mut lost = Vec::new();
    for seed in 0..=50 {
        let map = map_of(seed, &Plan::default());
        for fact in facts() {
            let outcome = fact.check(&map);
            if !outcome.recovered {
                lost.push(format!("seed {seed}: {}: {}", fact.id, outcome.evidence));
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn a_fact_left_out_is_not_recovered_and_the_others_are() {
    for seed in [0, 7] {
        for left_out in facts() {
            let map = map_of(seed, &Plan::default().without(left_out.id));
            for fact in facts() {
                let outcome = fact.check(&map);
                let expected = fact.id != left_out.id;
                assert_eq!(outcome.recovered, expected, "without {}: {}: {}", left_out.id, fact.id, outcome.evidence);
            }
        }
    }
}

#[test]
fn nothing_planted_nothing_recovered() {
    let map = map_of(3, &Plan::nothing());
    for fact in facts() {
        assert!(!fact.check(&map).recovered, "{}", fact.id);
    }
}

#[test]
fn facts_have_unique_ids_sentences_and_metrics_that_exist() {
    let ids: BTreeSet<_> = facts().iter().map(|f| f.id).collect();
    assert_eq!(ids.len(), facts().len());
    let map = map_of(0, &Plan::default());
    for fact in facts() {
        assert!(fact.sentence.len() > 20 && !fact.sentence.ends_with('.'), "{}", fact.id);
        assert!(!fact.metrics.is_empty(), "{}", fact.id);
        for metric in fact.metrics {
            assert!(map.column(metric).is_some(), "{}: {metric}", fact.id);
            // The list is complete and true: without any one of them the check cannot pass, and says which is missing.
            let mut without = map.clone();
            without.columns.retain(|c| c.info.id != *metric);
            let outcome = fact.check(&without);
            assert!(!outcome.recovered);
            assert_eq!(outcome.evidence, format!("the map has no {metric}"));
        }
        let mut only = map.clone();
        only.columns.retain(|c| fact.metrics.contains(&&*c.info.id));
        assert!(fact.check(&only).recovered, "{} reads a metric that it does not list", fact.id);
    }
}

#[test]
fn a_missing_score_is_not_a_recovery() {
    let mut map = map_of(0, &Plan::default());
    for column in &mut map.columns {
        column.scores.fill(Score::missing(Status::NotMeasured, "stopped early"));
    }
    for fact in facts() {
        let outcome = fact.check(&map);
        assert!(!outcome.recovered, "{}", fact.id);
        assert!(outcome.evidence.contains("stopped early"), "{}", outcome.evidence);
    }
    let empty = Map::default();
    assert!(facts().iter().all(|f| !f.check(&empty).recovered));
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let dirs: Vec<_> = [5, 5, 6].map(|seed| (tempfile::tempdir().unwrap(), seed)).into();
    let files: Vec<_> = dirs
        .iter()
        .map(|(dir, seed)| {
            let phantom = write(dir.path(), *seed).unwrap();
            assert_eq!(phantom.planted, facts().iter().map(|f| f.id).collect::<Vec<_>>());
            fs::read(phantom.dir.join("model.safetensors")).unwrap()
        })
        .collect();
    assert_eq!(files[0], files[1]);
    assert_ne!(files[0], files[2]);
}

#[test]
fn leaving_a_fact_out_touches_only_its_own_cells() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    write(dirs[0].path(), 1).unwrap();
    let phantom = write_with(dirs[1].path(), 1, &Plan::default().without("spikes")).unwrap();
    assert!(!phantom.planted.contains(&"spikes"));
    let bytes = dirs.each_ref().map(|d| fs::read(d.path().join("model.safetensors")).unwrap());
    let [whole, without] = bytes.each_ref().map(|b| SafeTensors::deserialize(b).unwrap());
    let changed: Vec<_> = whole
        .names()
        .into_iter()
        .filter(|n| whole.tensor(n).unwrap().data() != without.tensor(n).unwrap().data())
        .collect();
    assert_eq!(changed, ["model.layers.14.mlp.up_proj.weight"]);
}
