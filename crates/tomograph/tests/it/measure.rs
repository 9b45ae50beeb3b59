//! `tomograph measure`: what changes do, against the same change written into a checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tomograph::cli::Exit;
use tomograph::model::engine::{Engine, EngineOptions};

use crate::harness::run;
use crate::running::{copy, parity, place, text_of, tokens};

/// One case with its tokens, in a folder that goes away.
struct Case {
    folder: tempfile::TempDir,
    name: &'static str,
    ids: String,
}

impl Case {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ids = tokens(name, folder.path());
        Self { folder, name, ids }
    }

    fn model(&self) -> String {
        text_of(&parity(self.name))
    }

    fn arguments(&self, changes: &[&str]) -> Vec<String> {
        let changes = changes.iter().flat_map(|change| ["--change".to_owned(), (*change).to_owned()]);
        let fixed = ["measure", &self.model(), "--token-ids", &self.ids].map(str::to_owned);
        fixed.into_iter().chain(changes).collect()
    }

    fn measure(&self, changes: &[&str]) -> Value {
        self.measure_with(changes, &[])
    }

    fn measure_with(&self, changes: &[&str], more: &[&str]) -> Value {
        let more = more.iter().map(|word| (*word).to_owned()).chain(["--json".to_owned()]);
        run(self.arguments(changes).into_iter().chain(more)).ended(Exit::Success).json()
    }

    fn refuse(&self, changes: &[&str], more: &[&str]) -> String {
        let more = more.iter().map(|word| (*word).to_owned());
        let outcome = run(self.arguments(changes).into_iter().chain(more)).ended(Exit::Failure);
        assert_eq!(outcome.out, "");
        outcome.err
    }

    /// The model with the bf16 weights of `tensor` changed.
    fn edited(&self, tensor: &str, mut edit: impl FnMut(usize, [u8; 2]) -> [u8; 2]) -> PathBuf {
        let model = copy(self.name, self.folder.path());
        let file = model.join("model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        let range = place(&bytes, tensor);
        for (at, weight) in bytes[range].as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *weight = edit(at, *weight);
        }
        fs::write(file, bytes).unwrap();
        model
    }
}

fn number(json: &Value, key: &str) -> f64 {
    json[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {json}"))
}

#[track_caller]
fn assert_near(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} for {expected}");
}

/// Mean KL, NLL and agreement of two checkpoints from whole logits.
fn compared(original: &Path, changed: &Path, ids: &str) -> [f64; 3] {
    let sequences: Vec<Vec<u32>> = serde_json::from_slice(&fs::read(ids).unwrap()).unwrap();
    let engine = |path: &Path| {
        let model = std::sync::Arc::new(tomograph::scan::open(path, &[]).unwrap());
        let architecture = model.architecture().unwrap();
        Engine::new(model, architecture, EngineOptions::default()).unwrap()
    };
    let (original, changed) = (engine(original), engine(changed));
    let vocab = original.architecture().vocab;
    let log_softmax = |row: &[f32]| -> Vec<f64> {
        let log_sum = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        row.iter().map(|x| f64::from(*x) - log_sum).collect()
    };
    let best = |row: &[f32]| (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    let (mut sums, mut count) = ([0.0; 3], 0.0);
    for sequence in &sequences {
        let (p, q) = (original.logits(sequence).unwrap(), changed.logits(sequence).unwrap());
        for (t, next) in sequence.iter().skip(1).enumerate() {
            let rows = [&p[t * vocab..][..vocab], &q[t * vocab..][..vocab]];
            let [log_p, log_q] = rows.map(log_softmax);
            sums[0] += log_p.iter().zip(&log_q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            sums[1] -= log_q[*next as usize];
            sums[2] += f64::from(u8::from(best(rows[0]) == best(rows[1])));
            count += 1.0;
        }
    }
    sums.map(|sum| sum / count)
}

#[test]
fn a_change_is_what_the_same_change_in_the_checkpoint_is() {
    // No cell has a bias, which zero would silence as well.
    let case = Case::new("mistral_plain");
    let zeroed = case.edited("model.layers.1.mlp.down_proj.weight", |_, _| [0, 0]);
    let [kl, nll, top1] = compared(&parity("mistral_plain"), &zeroed, &case.ids);
    let found = case.measure(&["L1.mlp.down=zero"]);
    assert_near(number(&found, "kl"), kl, 1e-6);
    assert_near(number(&found, "nll"), nll, 1e-6);
    assert_near(number(&found, "top1"), top1, 0.0);
    assert!(kl > 1e-4, "a change that changes nothing shows nothing: {kl}");
    let perplexity = |model: &Path| {
        let args = ["perplexity", &text_of(model), "--token-ids", &case.ids, "--json"];
        run(args).ended(Exit::Success).json()
    };
    let (before, after) = (perplexity(&parity("mistral_plain")), perplexity(&zeroed));
    assert_near(number(&found, "nll_original"), number(&before, "nll"), 1e-12);
    assert_near(number(&found, "nll"), number(&after, "nll"), 1e-6);
    assert_near(number(&found, "difference"), number(&after, "nll") - number(&before, "nll"), 1e-6);
    assert_near(number(&found, "perplexity"), number(&after, "perplexity"), 1e-4);
}

#[test]
fn a_patch_is_the_cell_of_the_other_checkpoint() {
    let case = Case::new("llama");
    // Every weight changes its sign.
    let other = case.edited("model.layers.0.self_attn.v_proj.weight", |_, [low, high]| [low, high ^ 0x80]);
    let [kl, nll, _] = compared(&parity("llama"), &other, &case.ids);
    let against = text_of(&other);
    let found = case.measure_with(&["L0.attn.v=patch"], &["--against", &against]);
    assert_near(number(&found, "kl"), kl, 1e-6);
    assert_near(number(&found, "nll"), nll, 1e-6);
    assert!(kl > 1e-4, "{kl}");
    // All the other cells are the same in both.
    let whole = case.measure_with(&["all=patch"], &["--against", &against]);
    assert_near(number(&whole, "kl"), number(&found, "kl"), 1e-9);
    let others = case.measure_with(&["all=patch", "L0.attn.v=restored"], &["--against", &against]);
    assert_near(number(&others, "kl"), 0.0, 0.0);
}

#[test]
fn zero_has_fewer_columns_than_there_are_components() {
    let case = Case::new("mistral_plain");
    let kl = |cell: &str| number(&case.measure(&[&format!("L0.{cell}=zero")]), "kl");
    let columns = [["attn.q", "attn.k"], ["attn.v", "attn.o"], ["mlp.up", "mlp.down"], ["mlp.up", "mlp.gate"]];
    for [a, b] in columns {
        let (a, b) = (kl(a), kl(b));
        assert!((a - b).abs() <= 1e-9 * a && a > 0.0, "{a} and {b}");
    }
    assert!((kl("attn.q") - kl("attn.v")).abs() > 1e-6);
}

#[test]
fn what_is_restored_is_the_model_to_the_bit() {
    let case = Case::new("qwen2");
    let found = case.measure(&["all=int2", "L0=noise:.5", "all=restored"]);
    for (key, expected) in
        [("kl", 0.0), ("kl_low", 0.0), ("kl_high", 0.0), ("kl_p99", 0.0), ("difference", 0.0), ("top1", 1.0)]
    {
        assert_eq!(number(&found, key), expected, "{key}");
    }
    assert_eq!(found["cells_changed"], 0);
    let one = case.measure(&["all=int2", "all=restored", "L1.mlp.up=int2"]);
    assert_eq!(number(&one, "kl"), number(&case.measure(&["L1.mlp.up=int2"]), "kl"));
}

#[test]
fn json_says_what_was_measured() {
    let case = Case::new("mixtral");
    let found = case.measure(&["all=int3; L1.attn=zero", "L0.mlp.up.e1=noise:0.2"]);
    let texts: Vec<&str> = found["changes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(texts, ["all=int3:g128", "L1.attn=zero", "L0.mlp.up.e1=noise:0.2:seed=0"]);
    // Fewer than in the fixture's 16 by one for each sequence.
    assert_eq!((&found["tokens"], &found["sequences"]), (&14.into(), &2.into()));
    for key in ["nll", "nll_original", "difference", "kl", "top1"] {
        let [low, value, high] =
            [format!("{key}_low"), key.to_owned(), format!("{key}_high")].map(|k| number(&found, &k));
        assert!(low <= value && value <= high, "{key}: {low} {value} {high}");
    }
    assert!(number(&found, "kl_p99") >= number(&found, "kl"));
    assert_near(number(&found, "nll") - number(&found, "nll_original"), number(&found, "difference"), 1e-12);
    for key in ["text_digest", "model_digest"] {
        assert!(found[key].as_str().unwrap().len() >= 32, "{key}");
    }
    let seed = |seed: &str| number(&case.measure_with(&["L0.attn.q=noise:0.3"], &["--seed", seed]), "kl");
    assert!(seed("1") == seed("1") && seed("1") != seed("2"));
    let fixed = |seed: &str| number(&case.measure_with(&["L0.attn.q=noise:0.3:seed=1"], &["--seed", seed]), "kl");
    assert!(fixed("1") == fixed("2") && fixed("1") == seed("1"));
    let group = |group: &str| number(&case.measure_with(&["L0.attn.q=int2"], &["--group", group]), "kl");
    assert!(group("4") != group("128") && group("4") == number(&case.measure(&["L0.attn.q=int2:g4"]), "kl"));
}

#[test]
fn numbers_are_said_in_words() {
    let case = Case::new("mistral_plain");
    let said = run(case.arguments(&["attn.v=mean", "L1.mlp.down=rank:0.5"])).ended(Exit::Success);
    for part in ["NLL ", "perplexity ", "KL ", "top-1 ", "% of tokens", "14 tokens predicted in 2 sequences"] {
        assert!(said.out.contains(part), "no {part:?} in\n{}", said.out);
    }
    for part in ["change: attn.v=mean; L1.mlp.down=rank:0.5 (3 of 14 cells)", "text: ", "memory: about"] {
        assert!(said.err.contains(part), "no {part:?} in\n{}", said.err);
    }
    let noted = run(case.arguments(&["L0.attn.q=rank:4096"])).ended(Exit::Success);
    assert!(noted.err.contains("note: rank:4096 keeps all") && noted.err.contains("(L0.attn.q)"), "{}", noted.err);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let case = Case::new("mistral_plain");
    for (change, phrases) in [
        ("L9.attn.q=zero", &["L9.attn.q", "expected: 0 to 1"][..]),
        ("mlp.up.e3=zero", &["no experts"]),
        ("attn.v=patch", &["--against"]),
    ] {
        let err = case.refuse(&[change], &[]);
        for phrase in phrases {
            assert!(err.contains(phrase), "{change}: no {phrase:?} in\n{err}");
        }
    }
    let other = text_of(&parity("gpt2"));
    let err = case.refuse(&["attn.v=patch"], &["--against", &other]);
    assert!(err.contains("expected: ") && err.contains("L0.attn.v"), "{err}");
    let err = case.refuse(&["attn.v=zero"], &["--memory", "1kB"]);
    assert!(err.contains("hint: --memory"), "{err}");
    let one = case.folder.path().join("one.json");
    fs::write(&one, "[[1, 2, 3, 4]]").unwrap();
    let args = ["measure", &case.model(), "--token-ids", &text_of(&one), "--change"];
    let err = run(args.into_iter().chain(["attn.v=resample"])).ended(Exit::Failure).err;
    assert!(err.contains("one sequence"), "{err}");
    let alone = run(args.into_iter().chain(["attn.v=zero", "--json"])).ended(Exit::Success).json();
    assert!(alone["kl_low"].is_null() && alone["nll_high"].is_null() && number(&alone, "kl") > 0.0);
    // Wrong on any model, so wrong as a command line.
    for change in ["attn.v=zro", "L1.mlp.dwon=zero", "attn.v"] {
        let usage = run(["measure", "./no/such/model", "--change", change]).ended(Exit::Usage);
        assert!(usage.err.contains("hint"), "{}", usage.err);
    }
    run(["measure", "./no/such/model"]).ended(Exit::Usage);
}
