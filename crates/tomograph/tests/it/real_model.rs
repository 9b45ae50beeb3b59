//! A real model against golden values made without our code. Ignored unless asked for:
//! `TOMOGRAPH_SMOLLM2=<path>.gguf cargo test -p tomograph --test it real_model -- --ignored --nocapture`.

use std::path::PathBuf;

use tomo_map::Map;

use crate::golden::{self, CHECKS, Golden};
use crate::golden_same_map::assert_same_scores;
use crate::golden_storage::{Checkpoint, map_of};

/// The file the variable names; a test that was asked for and cannot run has failed.
pub(crate) fn smollm2() -> PathBuf {
    let path = std::env::var_os("TOMOGRAPH_SMOLLM2")
        .expect("TOMOGRAPH_SMOLLM2 must name SmolLM2-135M-Instruct.Q4_1.gguf (.ci/run fetches it)");
    PathBuf::from(path)
}

fn scan_smollm2(golden: &Golden) -> Map {
    let path = smollm2();
    assert_eq!(path.file_name().unwrap().to_string_lossy(), golden.model_file, "the golden values are of another file");
    map_of(&path, golden.group)
}

#[test]
#[ignore = "reads SmolLM2-135M-Instruct: set TOMOGRAPH_SMOLLM2 and run with --ignored"]
fn every_metric_equals_its_golden_values() {
    let golden = Golden::read("smollm2-weights");
    let map = scan_smollm2(&golden);
    golden.assert_same_cells(&map);
    assert_eq!(golden.len(), 210);
    let verdicts: Vec<_> = CHECKS.iter().map(|check| (check, golden::hold(check, &golden, &map))).collect();
    let table = golden::table(&verdicts);
    eprintln!("{table}");
    assert!(verdicts.iter().all(|(_, v)| v.passes), "scores differ from the golden values:\n{table}");
}

#[test]
#[ignore = "reads SmolLM2-135M-Instruct: set TOMOGRAPH_SMOLLM2 and run with --ignored"]
fn the_map_is_the_same_from_gguf_one_file_shards_and_fused_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let reference = map_of(&smollm2(), 128);
    let checkpoint = Checkpoint::from_smollm2(&smollm2());
    for (what, path) in [
        ("one file in f32", checkpoint.write_f32(&at.join("f32"))),
        ("five shards", checkpoint.write_shards(&at.join("shards"), 5)),
        ("phi3's fused tensors", checkpoint.write_phi3(&at.join("phi3"))),
    ] {
        assert_same_scores(&reference, &map_of(&path, 128), what);
    }
}

/// A metric without a golden column would pass unseen.
#[test]
fn every_metric_of_the_registry_has_a_golden_column() {
    let checked: Vec<_> = CHECKS.iter().map(|c| c.metric).collect();
    // Metrics that run the model have theirs where the passes over golden tokens are, those that compare in `golden_delta`.
    let missing: Vec<_> = tomo_metrics::METRICS
        .iter()
        .filter(|m| ["weights", "spectrum", "error"].contains(&m.info.family.as_ref()))
        .map(|m| m.info.id.as_ref())
        .filter(|id| !checked.contains(id))
        .collect();
    assert!(missing.is_empty(), "no golden values for {missing:?}: extend tools/reference/golden.py");
}
