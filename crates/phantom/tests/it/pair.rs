//! The pair, read from its files by the plainest means.

use std::fs;

use half::bf16;
use safetensors::SafeTensors;
use tomo_map::{Cell, Column, Component, Grid, Map, Score};
use tomo_phantom::{Pair, Plan, pair_facts, write_pair, write_pair_with};

use crate::measured::{info, tensor_names};

fn weights(bytes: &[u8]) -> Vec<bf16> {
    bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]])).collect()
}

/// Every cell's name and weights in both checkpoints.
fn cells(pair: &Pair) -> Vec<(Cell, Vec<bf16>, Vec<bf16>)> {
    let files = [&pair.base, &pair.tuned].map(|dir| fs::read(dir.join("model.safetensors")).unwrap());
    let [base, tuned] = files.each_ref().map(|f| SafeTensors::deserialize(f).unwrap());
    let cell = |(id, tensor): (_, String)| {
        let (before, after) = (base.tensor(&tensor).unwrap(), tuned.tensor(&tensor).unwrap());
        let [rows, cols] = before.shape().try_into().unwrap();
        let cell = Cell { id, out_features: rows as u64, in_features: cols as u64, tensor, dtype: "BF16".into() };
        (cell, weights(before.data()), weights(after.data()))
    };
    tensor_names().map(cell).collect()
}

fn map_of(pair: &Pair) -> Map {
    let mut map = Map { grid: Grid { layers: tomo_phantom::LAYERS, ..Grid::default() }, ..Map::default() };
    let (mut densities, mut sizes) = (Vec::new(), Vec::new());
    for (cell, before, after) in cells(pair) {
        let count = before.len() as f64;
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count() as f64;
        let squares: f64 = before.iter().map(|w| w.to_f64().powi(2)).sum();
        densities.push(Score::from_value(changed / count));
        sizes.push(Score::from_value((squares / count).sqrt()));
        map.grid.cells.push(cell);
    }
    map.columns.push(Column::new(info("update-density"), densities));
    map.columns.push(Column::new(info("base-rms"), sizes));
    map
}

fn pair_of(seed: u64, plan: &Plan) -> (tempfile::TempDir, Pair) {
    let dir = tempfile::tempdir().unwrap();
    let pair = write_pair_with(dir.path(), seed, plan).unwrap();
    (dir, pair)
}

#[test]
fn the_figure_is_recovered_for_every_seed() {
    for seed in 0..=20 {
        let (_dir, pair) = pair_of(seed, &Plan::default());
        let map = map_of(&pair);
        for fact in pair_facts() {
            let outcome = fact.check(&map);
            assert!(outcome.recovered, "seed {seed}: {}: {}", fact.id, outcome.evidence);
        }
    }
}

#[test]
fn a_group_of_columns_left_out_is_not_recovered_and_the_others_are() {
    for left_out in pair_facts().iter().filter(|f| f.id != "density-follows-size") {
        let (_dir, pair) = pair_of(3, &Plan::default().without(left_out.id));
        let map = map_of(&pair);
        for fact in pair_facts() {
            let outcome = fact.check(&map);
            let expected = fact.id != left_out.id;
            assert_eq!(outcome.recovered, expected, "without {}: {}: {}", left_out.id, fact.id, outcome.evidence);
        }
    }
}

/// With steps in proportion to the weights the same sizes draw no figure: it was bf16 that drew it.
#[test]
fn steps_as_large_as_the_weights_draw_no_figure() {
    let (_dir, pair) = pair_of(0, &Plan::default().without("density-follows-size"));
    let map = map_of(&pair);
    for fact in pair_facts() {
        assert!(!fact.check(&map).recovered, "{}", fact.id);
    }
}

/// A step of 1e-5 is more than half the distance of bf16 neighbours below 2^-8 (2^-17 = 7.6e-6) and less than half of it
/// above (2^-16 = 1.5e-5). From 2^-8 itself the neighbour towards zero is the nearer one.
#[test]
fn exactly_the_weights_below_the_rounding_change() {
    let (_dir, pair) = pair_of(1, &Plan::default());
    let edge = 2f64.powi(-8);
    let (mut moved, mut kept) = (0, 0);
    for (cell, before, after) in cells(&pair) {
        for (a, b) in before.iter().zip(&after) {
            let size = a.to_f64().abs();
            let changed = a != b;
            assert!(size == edge || changed == (size < edge), "{}: {a} became {b}", cell.id);
            // By the step, and at most half a neighbour's distance beside it.
            let off = ((b.to_f64() - a.to_f64()).abs() - 1e-5).abs();
            assert!(!changed || off <= 2f64.powi(-17), "{}: {a} became {b}", cell.id);
            if changed { moved += 1 } else { kept += 1 }
        }
    }
    assert!(moved > 100_000 && kept > 700_000, "{moved} moved, {kept} kept");
}

#[test]
fn the_same_seed_writes_the_same_pair() {
    let dir = tempfile::tempdir().unwrap();
    let read = |pair: &Pair| [&pair.base, &pair.tuned].map(|d| fs::read(d.join("model.safetensors")).unwrap());
    let files: Vec<_> = [5, 5, 6].into_iter().map(|seed| read(&write_pair(dir.path(), seed).unwrap())).collect();
    assert_eq!(files[0], files[1]);
    assert_ne!(files[0][0], files[2][0]);
    assert_ne!(files[0][0], files[0][1]);
}

#[test]
fn facts_of_the_pair_name_what_they_read() {
    let (_dir, pair) = pair_of(0, &Plan::default());
    assert_eq!(pair.planted, pair_facts().iter().map(|f| f.id).collect::<Vec<_>>());
    let map = map_of(&pair);
    for fact in pair_facts() {
        for metric in fact.metrics {
            let mut without = map.clone();
            without.columns.retain(|c| c.info.id != *metric);
            assert_eq!(fact.check(&without).evidence, format!("the map has no {metric}"));
        }
    }
    // Two columns are all that these facts read; one that reads less says less.
    assert!(
        pair_facts().iter().any(|f| f.metrics.len() == 2)
            && map.grid.cells.iter().any(|c| c.id.component == Component::MlpGate)
    );
}
