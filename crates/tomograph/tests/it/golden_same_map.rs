//! The same weights stored in other ways give the same map, bit for bit: cells are handed to the metrics as the same matrix,
//! whatever the checkpoint did to it.

use std::path::Path;

use crate::golden_storage::{Checkpoint, map_of};
use tomo_map::Map;

/// The phantom in bf16, as it is written.
fn phantom(at: &Path) -> Checkpoint {
    let phantom = tomo_phantom::write(&at.join("bf16"), 7).unwrap();
    Checkpoint::read_bf16(&phantom.dir)
}

fn map(path: &Path) -> Map {
    map_of(path, 128)
}

/// Fails on the first score that differs in any bit, and when there is nothing to compare.
pub(crate) fn assert_same_scores(reference: &Map, other: &Map, what: &str) {
    assert!(reference.columns.len() >= 20 && reference.grid.cells.len() >= 7 * 28, "a map of everything was expected");
    let ids = |m: &Map| m.grid.cells.iter().map(|c| c.id).collect::<Vec<_>>();
    assert_eq!(ids(reference), ids(other), "{what}: other cells");
    let metrics = |m: &Map| m.columns.iter().map(|c| c.info.id.to_string()).collect::<Vec<_>>();
    assert_eq!(metrics(reference), metrics(other), "{what}: other metrics");
    for (ours, theirs) in reference.columns.iter().zip(&other.columns) {
        for ((a, b), cell) in ours.scores.iter().zip(&theirs.scores).zip(&reference.grid.cells) {
            assert_eq!(a, b, "{what}: {} of {} differs", ours.info.id, cell.id);
        }
    }
}

#[test]
fn storage_does_not_change_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let checkpoint = phantom(at);
    let reference = map(&at.join("bf16"));
    let others = [
        ("one file in f32", checkpoint.write_f32(&at.join("f32"))),
        ("five shards", checkpoint.write_shards(&at.join("shards"), 5)),
        ("phi3's fused tensors", checkpoint.write_phi3(&at.join("phi3"))),
        ("gguf", checkpoint.write_gguf(&at.join("model.gguf"))),
    ];
    for (what, path) in others {
        assert_same_scores(&reference, &map(&path), what);
    }
}

/// What the test above relies on: a single changed bit of one weight is seen.
#[test]
fn one_changed_weight_changes_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut checkpoint = phantom(at);
    let reference = map(&checkpoint.write_f32(&at.join("before")));
    let weight = checkpoint.tensors.get_mut("model.layers.3.mlp.up_proj.weight").unwrap();
    let entry = &mut weight.values[11];
    *entry = f32::from_bits(entry.to_bits() ^ (1 << 16));
    let changed = map(&checkpoint.write_f32(&at.join("after")));
    let differing: Vec<_> = reference
        .columns
        .iter()
        .zip(&changed.columns)
        .flat_map(|(a, b)| a.scores.iter().zip(&b.scores).zip(&reference.grid.cells).filter(|((a, b), _)| a != b))
        .map(|(_, cell)| cell.id.to_string())
        .collect();
    assert!(differing.len() > 5 && differing.iter().all(|id| id == "L3.mlp.up"), "{differing:?}");
}
