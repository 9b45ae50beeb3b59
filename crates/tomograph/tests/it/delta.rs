//! `map --against`: what training changed, from the command line and through the library.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tomo_map::{Component, Map, Score, Status};
use tomograph::cli::Exit;
use tomograph::scan::{Request, Silent, scan};

use crate::golden::{Golden, hold, table};
use crate::golden_delta::CHECKS;
use crate::golden_storage::Checkpoint;
use crate::harness::{Outcome, run};

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)
}

fn compared(tuned: &Path, base: &Path, change: impl FnOnce(&mut Request)) -> anyhow::Result<Map> {
    let mut request = Request::new(tuned);
    request.against = Some(base.to_owned());
    change(&mut request);
    scan(&request, &Silent)
}

/// `tomograph map TUNED --against BASE --out OUT MORE…`.
fn map(tuned: &Path, base: &Path, out: &Path, more: &[&str]) -> Outcome {
    let mut args: Vec<OsString> = vec!["map".into(), tuned.into(), "--against".into(), base.into()];
    args.extend(["--out".into(), out.into()]);
    args.extend(more.iter().map(OsString::from));
    run(args)
}

#[test]
fn the_demo_pair_scores_as_numpy_scipy_and_torch_say() {
    let golden = Golden::read("demo-delta");
    let map = compared(&fixtures("demo/tuned"), &fixtures("demo/base"), |_| {}).unwrap();
    golden.assert_same_cells(&map);
    let verdicts: Vec<_> = CHECKS.iter().map(|check| (check, hold(check, &golden, &map))).collect();
    assert!(verdicts.iter().all(|(_, v)| v.passes), "\n{}", table(&verdicts));
    let ids: Vec<_> = map.columns.iter().map(|c| c.info.id.to_string()).collect();
    assert_eq!(ids, CHECKS.iter().map(|c| c.metric.to_owned()).collect::<Vec<_>>(), "a metric without a golden column");
}

#[test]
fn norms_beside_the_grid_are_those_of_numpy() {
    let text = fs::read_to_string(fixtures("golden/demo-delta.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let map = compared(&fixtures("demo/tuned"), &fixtures("demo/base"), |r| {
        r.metrics = tomo_metrics_of("update-density");
    });
    let map = map.unwrap();
    let rows = &map.beside[0].rows;
    let expected = expected["norms"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(json!(row.layer), expected["layer"]);
        assert_eq!(row.name, expected["name"].as_str().unwrap());
        assert_eq!(row.tensor, expected["tensor"].as_str().unwrap());
        let (found, expected) = (row.score.value().unwrap(), expected["drift"].as_f64().unwrap());
        assert!((found - expected).abs() <= 1e-9 * expected, "{}: {found}, {expected}", row.tensor);
    }
}

fn tomo_metrics_of(spec: &str) -> Vec<tomograph::metrics::Selected> {
    tomograph::metrics::select(spec).unwrap()
}

/// The same weights as Hugging Face and as llama.cpp's converter write them, other types of norms and order of rows
/// notwithstanding: every family that has both.
#[test]
fn the_same_weights_in_two_formats_are_identical() {
    let mut families = 0;
    for entry in fs::read_dir(fixtures("parity")).unwrap() {
        let folder = entry.unwrap().path();
        let gguf = folder.join("model.gguf");
        if !gguf.exists() {
            continue;
        }
        // The fixtures' small embeddings are padded by the converter of some families, and two are written as f32.
        let map = compared(&gguf, &folder, |r| {
            r.partial = true;
            r.metrics = tomo_metrics_of("delta-relative,update-density");
        });
        let map = map.unwrap_or_else(|e| panic!("{}: {e:#}", folder.display()));
        for column in map.columns.iter().filter(|c| c.info.id != "delta-cosine") {
            for (score, cell) in column.scores.iter().zip(&map.grid.cells) {
                assert_eq!(
                    score.value(),
                    Some(0.0),
                    "{} {} of {}: {score:?}",
                    folder.display(),
                    column.info.id,
                    cell.id
                );
            }
        }
        let drifts: Vec<_> = map.beside.iter().flat_map(|b| &b.rows).collect();
        for row in drifts.iter().filter(|row| row.score.status() != Status::NotApplicable) {
            assert!(row.score.value().unwrap() < 1e-6, "{}: {row:?}", folder.display());
        }
        families += 1;
    }
    assert!(families >= 20, "{families}");
}

#[test]
fn identical_checkpoints_are_said_to_be_identical() {
    let folder = tempfile::tempdir().unwrap();
    let base = fixtures("demo/base");
    let outcome = map(&base, &base, folder.path(), &[]).ended(Exit::Success);
    assert!(outcome.out.contains("identical"), "{}", outcome.out);
    let report = fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(report.contains("**The two are identical**"), "{report}");
    let map = tomograph::map::read_json(&fs::read(folder.path().join("map.json")).unwrap()).unwrap();
    assert!(map.column("delta-relative").unwrap().scores.iter().all(|s| s.value() == Some(0.0)));
    assert!(map.column("delta-effective-rank").unwrap().scores.iter().all(|s| s.status() == Status::Undefined));
}

#[test]
fn provenance_names_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let (tuned, base) = (fixtures("demo/tuned"), fixtures("demo/base"));
    let outcome = map(&tuned, &base, folder.path(), &["--metric", "update-density", "--cast", "f16"]);
    let outcome = outcome.ended(Exit::Success);
    assert!(outcome.err.contains("both sides were rounded to f16"), "{}", outcome.err);
    let map = tomograph::map::read_json(&fs::read(folder.path().join("map.json")).unwrap()).unwrap();
    let against = map.provenance.against.unwrap();
    assert_eq!(against.model, base.display().to_string());
    assert_eq!(against.format, "safetensors");
    assert_eq!(against.cast.as_deref(), Some("f16"));
    assert_ne!(against.model_digest, map.provenance.model_digest);
    let report = fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(report.contains("Compared with") && report.contains("norm-gain-drift"), "{report}");
}

#[test]
fn a_relative_change_comes_with_its_two_parts() {
    let folder = tempfile::tempdir().unwrap();
    let (tuned, base) = (fixtures("demo/tuned"), fixtures("demo/base"));
    let outcome = map(&tuned, &base, folder.path(), &["--metric", "delta-relative"]).ended(Exit::Success);
    assert!(outcome.err.contains("delta-scale and delta-direction come with delta-relative"), "{}", outcome.err);
    let map = tomograph::map::read_json(&fs::read(folder.path().join("map.json")).unwrap()).unwrap();
    let ids: Vec<_> = map.columns.iter().map(|c| c.info.id.to_string()).collect();
    assert_eq!(ids, ["delta-relative", "delta-scale", "delta-direction"]);
}

#[test]
fn weights_and_changes_go_into_one_map() {
    let map = compared(&fixtures("demo/tuned"), &fixtures("demo/base"), |r| {
        r.metrics = tomo_metrics_of("rms,base-rms,update-density");
    });
    let map = map.unwrap();
    let ids: Vec<_> = map.columns.iter().map(|c| c.info.id.to_string()).collect();
    assert_eq!(ids, ["rms", "update-density", "base-rms"]);
    assert_ne!(map.column("rms").unwrap().scores, map.column("base-rms").unwrap().scores);
}

#[test]
fn a_metric_without_a_base_and_a_base_without_a_metric_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = fixtures("demo/base");
    let args: [OsString; 6] =
        ["map".into(), base.clone().into(), "--metric".into(), "delta".into(), "--out".into(), folder.path().into()];
    let err = run(args).ended(Exit::Failure).err;
    assert!(err.contains("delta-relative compares") && err.contains("--against BASE"), "{err}");
    let err = map(&base, &base, folder.path(), &["--metric", "rms"]).ended(Exit::Failure).err;
    assert!(err.contains("none of the metrics reads --against"), "{err}");
}

/// The phantom, changed as a test likes, in a folder of its own.
fn phantom(folder: &Path, change: impl FnOnce(&mut Checkpoint)) -> PathBuf {
    let phantom = tomo_phantom::write(&folder.join("phantom"), 7).unwrap();
    let mut checkpoint = Checkpoint::read_bf16(&phantom.dir);
    change(&mut checkpoint);
    checkpoint.write_f32(&folder.join("changed"))
}

const DOWN: &str = "model.layers.3.mlp.down_proj.weight";

/// The phantom in bf16 and its f32 copy with a change.
fn against_phantom(change: impl FnOnce(&mut Checkpoint), partial: bool, metrics: &str) -> anyhow::Result<Map> {
    let folder = tempfile::tempdir().unwrap();
    let tuned = phantom(folder.path(), change);
    compared(&tuned, &folder.path().join("phantom"), |r| {
        r.partial = partial;
        r.metrics = tomo_metrics_of(metrics);
    })
}

/// One block, one column and one entry: nothing is seen anywhere else.
#[test]
fn a_change_is_seen_where_it_is() {
    let map = against_phantom(
        |c| {
            for (name, tensor) in &mut c.tensors {
                if name.contains("layers.5.") || name.contains("v_proj") {
                    tensor.values.iter_mut().for_each(|w| *w *= 1.5);
                }
            }
            c.tensors.get_mut(DOWN).unwrap().values[7] += 1.0;
        },
        false,
        "delta-scale,update-density",
    );
    let map = map.unwrap();
    for (at, cell) in map.grid.cells.iter().enumerate() {
        let whole = cell.id.layer == 5 || cell.id.component == Component::AttnV;
        let scale = map.column("delta-scale").unwrap().scores[at].value().unwrap();
        let density = map.column("update-density").unwrap().scores[at].value().unwrap();
        if whole {
            assert!((scale - 0.5).abs() < 1e-12 && density > 0.9, "{}: {scale} {density}", cell.id);
        } else if cell.tensor == DOWN {
            assert_eq!(density, 1.0 / cell.numel() as f64);
        } else {
            assert_eq!((scale, density), (0.0, 0.0), "{}", cell.id);
        }
    }
    let notes = map.provenance.against.unwrap().notes;
    assert!(notes.iter().any(|n| n.contains("BF16 to F32")), "{notes:?}");
}

#[test]
fn what_does_not_fit_is_an_error_and_partly_compared_where_asked_for() {
    let shorter = |c: &mut Checkpoint| {
        let down = c.tensors.get_mut(DOWN).unwrap();
        down.values.truncate(down.shape[1]);
        down.shape[0] = 1;
    };
    // A shape that contradicts the config is refused by the family, whatever is asked for.
    let error = against_phantom(shorter, true, "update-density").unwrap_err();
    assert!(format!("{error:#}").contains("wrong shape"), "{error:#}");

    let missing = |c: &mut Checkpoint| drop(c.tensors.remove(DOWN));
    let error = format!("{:#}", against_phantom(missing, false, "update-density").unwrap_err());
    assert!(error.contains("L3.mlp.down") && error.contains(DOWN), "{error}");
    let map = against_phantom(missing, true, "update-density").unwrap();
    assert_eq!(map.grid.cells.len(), 28 * 7 - 1);
    assert!(map.column("update-density").unwrap().scores.iter().all(|s| s.value() == Some(0.0)));

    let fewer = |c: &mut Checkpoint| {
        c.config["num_hidden_layers"] = json!(27);
        c.tensors.retain(|name, _| !name.contains("layers.27."));
    };
    let error = format!("{:#}", against_phantom(fewer, false, "update-density").unwrap_err());
    assert!(error.contains("L27.attn.q is in the base and not in the tuned checkpoint"), "{error}");
    assert!(error.contains("--partial"), "{error}");

    let grown = |c: &mut Checkpoint| {
        let tokens = c.tensors.get_mut("model.embed_tokens.weight").unwrap();
        tokens.values.extend(vec![0.5; tokens.shape[1]]);
        tokens.shape[0] += 1;
        c.config["vocab_size"] = json!(tokens.shape[0]);
    };
    let error = format!("{:#}", against_phantom(grown, false, "update-density").unwrap_err());
    assert!(error.contains("vocabularies of different size"), "{error}");
    against_phantom(grown, true, "update-density").unwrap();

    let other = |c: &mut Checkpoint| c.config["model_type"] = json!("arcee");
    assert!(against_phantom(other, false, "update-density").is_err());
}

#[test]
fn another_family_is_an_error() {
    let (qwen, llama) = (fixtures("parity/qwen3_plain"), fixtures("parity/llama"));
    let error = format!("{:#}", compared(&qwen, &llama, |_| {}).unwrap_err());
    assert!(error.contains("different families") && error.contains("qwen3") && error.contains("llama"), "{error}");
}

/// A weight that is no number: the cell says which side, where; the others are compared.
#[test]
fn a_weight_that_is_not_finite_spoils_its_cell_only() {
    for metrics in ["update-density", "delta-rank"] {
        let map = against_phantom(|c| c.tensors.get_mut(DOWN).unwrap().values[65] = f32::NAN, false, metrics).unwrap();
        let at = map.grid.cells.iter().position(|c| c.tensor == DOWN).unwrap();
        let scores = &map.columns[0].scores;
        assert_eq!(scores[at].status(), Status::Undefined);
        let reason = scores[at].reason().unwrap();
        assert!(reason.contains("after the change") && reason.contains(DOWN) && reason.contains("NaN"), "{reason}");
        assert!(scores.iter().enumerate().all(|(i, s)| i == at || s.value() == Some(0.0)), "{metrics}");
    }
}

/// Sums taken piece by piece from the files and sums of matrices are the same bits, whatever else is asked for.
#[test]
fn a_sweep_over_files_is_a_sweep_over_matrices() {
    let (tuned, base) = (fixtures("demo/tuned"), fixtures("demo/base"));
    let linear =
        "delta-scale,delta-direction,update-density,update-density-tol,density-lower-bound,base-rms,sign-flips";
    let alone = compared(&tuned, &base, |r| r.metrics = tomo_metrics_of(linear)).unwrap();
    let beside = compared(&tuned, &base, |r| r.metrics = tomo_metrics_of("delta")).unwrap();
    for column in &alone.columns {
        assert_eq!(column.scores, beside.column(&column.info.id).unwrap().scores, "{}", column.info.id);
    }
    for threads in [1, 3] {
        let again = compared(&tuned, &base, |r| {
            r.metrics = tomo_metrics_of("delta");
            r.threads = Some(threads);
        });
        let values = |m: &Map| m.columns.iter().flat_map(|c| c.scores.iter().map(Score::value)).collect::<Vec<_>>();
        assert_eq!(values(&again.unwrap()), values(&beside), "{threads} threads");
    }
}
