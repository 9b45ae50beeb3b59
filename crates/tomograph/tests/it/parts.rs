//! Parts of a scan put together: the whole, to the bit, whatever they were cut along; and what is missing is named.

use std::fs;
use std::path::{Path, PathBuf};

use tomo_map::{Map, Status};
use tomograph::cli::Exit;

use crate::harness::{Outcome, run};
use crate::running::text_of;

fn demo(which: &str) -> String {
    text_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/demo").join(which))
}

/// Seven sequences of ten to sixteen bytes, so that shares differ in size.
fn token_ids(to: &Path) -> String {
    let text = b"Nobody asked the engineer why the ladder stood in the lighthouse; the dog knew, and it was a dark evening there.";
    let sequences: Vec<&[u8]> = (0..7).map(|at| &text[at * 14..][..10 + at]).collect();
    let path = to.join("tokens.json");
    fs::write(&path, serde_json::to_string(&sequences).unwrap()).unwrap();
    text_of(&path)
}

fn read(folder: &Path) -> Map {
    tomo_map::read_json(&fs::read(folder.join("map.json")).unwrap()).unwrap()
}

struct Scans {
    folder: tempfile::TempDir,
    model: String,
    args: Vec<String>,
}

impl Scans {
    fn new(model: &str, metrics: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut args: Vec<String> = vec!["--metric".into(), metrics.into(), "--group".into(), "16".into()];
        args.extend(more.iter().map(|s| (*s).to_owned()));
        Self { folder, model: demo(model), args }
    }

    fn on_text(model: &str, metrics: &str, more: &[&str]) -> Self {
        let mut scans = Self::new(model, metrics, more);
        scans.args.extend(["--token-ids".into(), token_ids(scans.folder.path())]);
        scans
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn scan(&self, name: &str, cut: &[&str]) -> Outcome {
        let out = text_of(&self.at(name));
        let mut args = vec!["map", &self.model, "--out", &out];
        args.extend(self.args.iter().map(String::as_str));
        args.extend(cut);
        run(args).ended(Exit::Success)
    }

    fn merge(&self, parts: &[&str]) -> Outcome {
        let parts: Vec<String> = parts.iter().map(|part| text_of(&self.at(part))).collect();
        let out = text_of(&self.at("merged"));
        let args = ["merge", "-o", &out].into_iter().chain(parts.iter().map(String::as_str));
        run(args)
    }

    /// Makes the whole, and the parts that `cuts` say; the two maps are the same but for where they come from.
    #[track_caller]
    fn parts_are_the_whole(&self, cuts: &[[&str; 2]]) -> Map {
        self.scan("whole", &[]);
        let names: Vec<String> = (0..cuts.len()).map(|at| format!("part{at}")).collect();
        for (name, cut) in names.iter().zip(cuts) {
            self.scan(name, cut);
        }
        // In any order.
        let order: Vec<&str> = names.iter().rev().map(String::as_str).collect();
        self.merge(&order).ended(Exit::Success);
        let (whole, merged) = (read(&self.at("whole")), read(&self.at("merged")));
        for (a, b) in whole.columns.iter().zip(&merged.columns) {
            for (cell, (a, b)) in whole.grid.cells.iter().zip(a.scores.iter().zip(&b.scores)) {
                assert!(a == b, "{}: {a:?} {b:?}", cell.id);
            }
            assert!(a == b, "{}: {:?} {:?}", a.info.id, a.measurement, b.measurement);
        }
        assert!(whole.columns.len() == merged.columns.len() && whole.grid == merged.grid);
        assert!(whole.beside == merged.beside && whole.inventory == merged.inventory);
        let about = |map: &Map| {
            let p = map.provenance.clone();
            (p.model, p.model_digest, p.text_digest, p.tokens, p.sequences, p.draws, p.against)
        };
        assert_eq!(about(&whole), about(&merged));
        assert!(merged.columns.iter().any(|c| c.scores.iter().any(|s| s.value().is_some())));
        merged
    }

    /// Files beside the two maps that are the same.
    #[track_caller]
    fn both_have(&self, name: &str) {
        let both = ["whole", "merged"].map(|folder| fs::read_to_string(self.at(folder).join(name)).unwrap());
        assert!(both[0] == both[1], "{name}");
    }
}

const THIRDS: [[&str; 2]; 3] = [["--shard", "1/3"], ["--shard", "2/3"], ["--shard", "3/3"]];

#[test]
fn of_weights() {
    let scans = Scans::new("base", "weights,stable-rank@null,err-int4", &[]);
    scans.parts_are_the_whole(&THIRDS);
    let said = scans.scan("again", &["--shard", "2/3"]).err;
    assert!(said.contains("part 2/3, weights: 6") && said.contains(" of 196 cells, L"), "{said}");
    let cuts = [["--layers", "0-13,20"], ["--layers", "14-19"], ["--cells", "L21-27.mlp"], ["--cells", "L21-27.attn"]];
    scans.parts_are_the_whole(&cuts);
    // A part by layers is a map as well, of what it has.
    let part = read(&scans.at("part1"));
    let of_layer =
        |layer| part.grid.cells.iter().zip(&part.columns[0].scores).filter(move |(c, _)| c.id.layer == layer);
    assert!(of_layer(14).all(|(_, score)| score.value().is_some()));
    assert!(
        of_layer(13).all(|(_, s)| s.status() == Status::NotMeasured && s.reason().unwrap().contains("another part"))
    );
}

#[test]
fn of_a_comparison() {
    let base = demo("base");
    let scans = Scans::new("tuned", "delta", &["--against", &base]);
    scans.parts_are_the_whole(&THIRDS);
}

#[test]
fn of_activations_along_sequences() {
    let scans = Scans::on_text("base", "activations,err-int4@x,err-int3", &[]);
    scans.parts_are_the_whole(&THIRDS);
    let said = scans.scan("again", &["--shard", "2/3"]).err;
    assert!(said.contains("part 2/3, activations: sequences 2 to 3 of 7"), "{said}");
}

#[test]
fn of_activations_along_layers() {
    let scans = Scans::on_text("base", "activations,err-int4@x", &[]);
    scans.parts_are_the_whole(&[["--layers", "0-5"], ["--layers", "6-27"]]);
    scans.parts_are_the_whole(&[["--cells", "attn.q,mlp"], ["--cells", "attn.k,attn.v,attn.o"]]);
    // What k reads is known to its own part, though q, with which it shares it, is another's.
    let part = read(&scans.at("part1"));
    let keys = |c: &tomo_map::Cell| c.id.component == tomo_map::Component::AttnK;
    let column = part.column("input-outliers").unwrap();
    let mut scores = part.grid.cells.iter().zip(&column.scores).filter(|(cell, _)| keys(cell));
    assert!(scores.all(|(_, score)| score.value().is_some()));
}

#[test]
fn of_gradients_along_sequences() {
    let metrics = "fisher,attribution-zero,quant-taylor-int4,predicted-kl-int4,predicted-kl-int3";
    let scans = Scans::on_text("base", metrics, &["--draws", "3"]);
    scans.parts_are_the_whole(&THIRDS);
    scans.both_have("draws.csv");
    let said = scans.scan("again", &["--shard", "3/3"]).err;
    assert!(said.contains("part 3/3, gradients: sequences 4 to 6 of 7"), "{said}");
}

#[test]
fn of_all_gradients_along_cells() {
    let metrics = "taylor,taylor-group,gradient-norm,fisher,attribution-mean,attribution-resample,ig,predicted-kl-int3";
    let scans = Scans::on_text("base", metrics, &["--draws", "2", "--ig-steps", "2"]);
    scans.parts_are_the_whole(&THIRDS);
    let said = scans.scan("again", &["--shard", "3/3"]).err;
    assert!(said.contains("part 3/3, gradients: 6") && said.contains(" of 196 cells, L"), "{said}");
}

#[test]
fn of_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.jsonl");
    let lines = ["2+2=|4 and so on", "3+1=|four", "the dog|sat", "5+2=|7"].map(|line| {
        let (prompt, completion) = line.split_once('|').unwrap();
        serde_json::json!({"prompt": prompt, "completion": completion}).to_string()
    });
    fs::write(&path, lines.join("\n")).unwrap();
    let answers = text_of(&path);
    let scans = Scans::new("base", "fisher,predicted-kl-int4", &["--draws", "2", "--answers", &answers]);
    scans.parts_are_the_whole(&[["--shard", "1/2"], ["--shard", "2/2"]]);
}

#[test]
fn of_interventions() {
    let base = demo("base");
    let scans =
        Scans::on_text("tuned", "quant-kl-int3,ablate-zero,ablate-mean,patch-kl", &["--exact", "--against", &base]);
    scans.parts_are_the_whole(&THIRDS);
    scans.both_have("measured.csv");
    scans.both_have("measured.json");
}

#[test]
fn a_race_has_no_parts() {
    let scans = Scans::on_text("base", "quant-kl-int3", &[]);
    let (model, out) = (demo("base"), text_of(&scans.at("out")));
    let mut args = vec!["map", &model, "--out", &out, "--shard", "1/2"];
    args.extend(scans.args.iter().map(String::as_str));
    let said = run(args).ended(Exit::Failure).err;
    assert!(said.contains("race") && said.contains("--exact"), "{said}");
}

#[test]
fn what_is_missing_or_there_twice_is_named() {
    let scans = Scans::new("base", "rms", &[]);
    for (name, cut) in [("a", "1/3"), ("b", "2/3"), ("c", "3/3")] {
        scans.scan(name, &["--shard", cut]);
    }
    let said = scans.merge(&["a", "c"]).ended(Exit::Failure).err;
    assert!(
        said.contains("parts are missing: 2/3")
            && said.contains("64 of 196 cells in no part, for weights: L9.mlp.up to L18.mlp.up"),
        "{said}"
    );
    let said = scans.merge(&["a", "b", "c", "b"]).ended(Exit::Failure).err;
    assert!(said.contains("two parts hold the same") && said.contains("(2/3)") && said.contains("in both"), "{said}");
    scans.scan("d", &["--layers", "0-9"]);
    scans.scan("e", &["--layers", "12-27"]);
    let said = scans.merge(&["d", "e"]).ended(Exit::Failure).err;
    assert!(said.contains("L10.attn.q to L11.mlp.gate"), "{said}");
    // Another option is another scan.
    let other = Scans { args: vec!["--metric".into(), "rms".into(), "--group".into(), "32".into()], ..scans };
    other.scan("b", &["--shard", "2/3"]);
    let said = other.merge(&["a", "b", "c"]).ended(Exit::Failure).err;
    assert!(said.contains("different scans") && said.contains("the same options"), "{said}");
    assert!(!other.at("merged").exists());
}

#[test]
fn damaged_parts_and_other_files_are_refused() {
    let scans = Scans::new("base", "rms", &[]);
    scans.scan("a", &["--shard", "1/1"]);
    let file = scans.at("a").join("part.tomograph");
    let whole = fs::read(&file).unwrap();
    for length in [0, 5, 17, 25, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let said = scans.merge(&["a"]).ended(Exit::Failure).err;
        assert!(said.contains("is not a whole part of a scan"), "{length}: {said}");
    }
    fs::remove_file(&file).unwrap();
    let said = scans.merge(&["a"]).ended(Exit::Failure).err;
    assert!(said.contains("no part of a scan in"), "{said}");
    fs::write(&file, whole).unwrap();
    scans.merge(&["a"]).ended(Exit::Success);
}
