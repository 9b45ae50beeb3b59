//! Adapters as the peft package wrote them, against what peft makes of them (`tools/reference/adapters.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use half::bf16;
use serde_json::{Value, json};
use tomo_checkpoint::{AdapterFiles, Config, open_adapter};
use tomo_map::{CellId, Component};
use tomo_model::{Adapter, Change, Changes, Model, ModelError, OpenOptions};
use tomo_testkit::{Within, assert_close};

use crate::source::{Fixture, Tensors, TestSource, fixtures, loaded, read_safetensors};

const CASES: [&str; 11] =
    ["plain", "patterns", "rslora", "dora", "bf16", "beside", "biases", "gpt2", "gpt2_dora", "phi3", "experts"];

/// One folder of `fixtures/adapters`, to be changed before it is opened.
pub(crate) struct Written {
    pub(crate) config: Value,
    pub(crate) tensors: Tensors,
    folder: PathBuf,
    about: Value,
}

impl Written {
    pub(crate) fn read(case: &str) -> Self {
        let folder = fixtures().join("adapters").join(case);
        let json = |name: &str| serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        Self {
            config: json("adapter_config.json"),
            tensors: read_safetensors(&folder.join("adapter_model.safetensors")),
            about: json("peft.json"),
            folder,
        }
    }

    pub(crate) fn open(&self) -> Result<Arc<Adapter>, ModelError> {
        let files = AdapterFiles {
            config_path: PathBuf::new(),
            config: serde_json::to_vec(&self.config).unwrap(),
            source: Arc::new(TestSource::new(self.tensors.clone(), Config::Absent)),
        };
        Adapter::open(&files).map(Arc::new)
    }

    pub(crate) fn base(&self) -> Fixture {
        Fixture::read(self.about["base"].as_str().unwrap().strip_prefix("parity/").unwrap())
    }

    pub(crate) fn against_base(&self) -> Result<Changes, ModelError> {
        self.open()?.against(&self.base().source().open()?)
    }
}

/// Every cell before and after, by name.
fn before_and_after(base: &Model, changes: &Changes) -> (Tensors, Tensors) {
    let before = loaded(base);
    let whole = changes.whole().map(loaded).unwrap_or_default();
    let after = changes.grid().cells.iter().enumerate().map(|(index, cell)| {
        let name = cell.id.to_string();
        let (shape, values) = &before[&name];
        let mut tuned = vec![f32::NAN; values.len()];
        match changes.factors(index).unwrap() {
            Some(factors) => factors.tuned(values, &mut tuned),
            None => tuned = whole[&name].1.clone(),
        }
        (name, (shape.clone(), tuned))
    });
    let after = after.collect();
    (before, after)
}

/// The same change merged by peft: what differs from the base, cell by cell.
#[test]
fn cells_are_what_peft_merges() {
    for case in CASES {
        let written = Written::read(case);
        let base = written.base();
        let model = base.source().open().unwrap();
        let changes = written.open().unwrap().against(&model).unwrap();
        let (before, after) = before_and_after(&model, &changes);

        let mut merged = written.base();
        merged.tensors.extend(read_safetensors(&written.folder.join("merged.safetensors")));
        let merged = loaded(&merged.source().open().unwrap());
        let mut changed = 0;
        for (cell, (_, expected)) in &merged {
            let (w0, w1) = (&before[cell].1, &after[cell].1);
            if w0 == expected {
                assert_eq!(w1, expected, "{case} {cell}");
                continue;
            }
            changed += 1;
            if case == "bf16" {
                let rounded: Vec<f32> = w1.iter().map(|w| bf16::from_f32(*w).to_f32()).collect();
                assert_eq!(&rounded, expected, "{cell}");
                continue;
            }
            let change = |w: &[f32]| w.iter().zip(w0).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect::<Vec<_>>();
            assert_close(change(w1), change(expected), Within::RelativeNorm(2e-6));
        }
        let hit = changes.cells().iter().filter(|c| **c != Change::None).count();
        assert_eq!(changed, hit, "{case}");
    }
}

#[test]
fn ranks_and_scalings_are_what_peft_says() {
    for case in CASES {
        let written = Written::read(case);
        let changes = written.against_base().unwrap();
        let mut seen = BTreeSet::new();
        for change in changes.cells() {
            let Change::LowRank(place) = change else { continue };
            let module = place.tensor().strip_prefix("base_model.model.").unwrap();
            let module = module.strip_suffix(".lora_B.weight").unwrap();
            let expected = &written.about["modules"][module];
            assert_eq!(expected["r"], json!(place.rank()), "{case} {module}");
            assert_close(place.alpha(), expected["alpha"].as_f64().unwrap(), Within::Relative(0.0));
            assert_close(place.scaling(), expected["scaling"].as_f64().unwrap(), Within::Relative(1e-15));
            seen.insert(module.to_owned());
        }
        let all = written.about["modules"].as_object().unwrap().keys();
        let off = all.filter(|m| !seen.contains(*m)).map(String::as_str).collect::<Vec<_>>();
        let expected: &[&str] = if case == "beside" { &["lm_head", "model.embed_tokens"] } else { &[] };
        assert_eq!(off, expected, "{case}");
    }
}

#[test]
fn folders_are_opened_by_any_of_their_names() {
    let folder = fixtures().join("adapters/plain");
    for path in [folder.clone(), folder.join("adapter_config.json"), folder.join("adapter_model.safetensors")] {
        let files = open_adapter(&path).unwrap().unwrap();
        let adapter = Adapter::open(&files).unwrap();
        assert_eq!((adapter.config().rank, adapter.config().alpha), (4, 8.0));
        assert_eq!(adapter.config().base.as_deref(), Some("parity/llama"));
        // 4 (in + out) for q, k, v, o, up, down, gate of each of three layers.
        assert_eq!(adapter.parameters(), 3 * 4 * (2 * (36 + 48) + 2 * (36 + 16) + 3 * (36 + 52)));
    }
    assert!(open_adapter(&fixtures().join("parity/llama")).unwrap().is_none());
}

#[test]
fn what_is_not_on_the_grid_is_listed() {
    let changes = Written::read("beside").against_base().unwrap();
    let mut counts = BTreeMap::<&str, usize>::new();
    for tensor in changes.off_grid() {
        *counts.entry(tensor.what).or_default() += 1;
    }
    // lm_head and the embedding have factors, and peft saves a copy of either beside them; three layers have a norm, and a
    // bias of k and of o; the cell that is saved whole has its bias with it.
    let expected = [
        ("bias", 7),
        ("embedding", 1),
        ("factors of the embedding", 2),
        ("factors of the head", 2),
        ("head", 1),
        ("norm", 3),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    let up = |change: &Change| matches!(change, Change::Whole(_));
    let whole: Vec<_> = changes.grid().cells.iter().zip(changes.cells()).filter(|(_, c)| up(c)).collect();
    assert_eq!(whole.iter().map(|(cell, _)| cell.id.to_string()).collect::<Vec<_>>(), ["L1.mlp.up"]);
}

/// The names that `model.state_dict()` has before peft takes the adapter's own name out.
#[test]
fn state_dicts_saved_by_hand() {
    for (case, prefix) in [("dora", "base_model.model."), ("dora", "")] {
        let plain = Written::read(case);
        let mut by_hand = Written::read(case);
        by_hand.tensors = plain
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let name = name.strip_prefix("base_model.model.").unwrap();
                let name = name.replace("lora_A.", "lora_A.sft.").replace("lora_B.", "lora_B.sft.");
                let name = name.replace("lora_magnitude_vector", "lora_magnitude_vector.sft.weight");
                (format!("{prefix}{name}"), tensor.clone())
            })
            .collect();
        let (expected, found) = (plain.against_base().unwrap(), by_hand.against_base().unwrap());
        for index in 0..expected.cells().len() {
            assert_eq!(expected.factors(index).unwrap(), found.factors(index).unwrap());
        }
    }
}

/// q and k of a GGUF file are in another order of rows, which loading undoes: the factors fit as they are.
#[test]
fn a_gguf_base_is_the_same_base() {
    let case = fixtures().join("parity/llama_linear");
    let open = |path| Model::open(tomo_checkpoint::open(path).unwrap(), &OpenOptions::default()).unwrap();
    let (base, safetensors) = (open(&case.join("model.gguf")), open(&case));
    let mut written = Written::read("plain");
    // This base has two layers.
    written.tensors.retain(|name, _| !name.contains("layers.2."));
    let adapter = written.open().unwrap();
    let from_gguf = adapter.against(&base).unwrap();
    let plain = adapter.against(&safetensors).unwrap();
    let (_, expected) = before_and_after(&safetensors, &plain);
    let (_, found) = before_and_after(&base, &from_gguf);
    crate::source::assert_same_cells("gguf", &found, &expected);
}

/// Cells of a family nobody knows are found by the names the user gave.
#[test]
fn a_base_named_by_hand() {
    let written = Written::read("plain");
    let mut base = written.base();
    base.config = json!({ "model_type": "somebodys" });
    let model = base.source().open_with(&["mlp.down=model.layers.{}.mlp.down_proj.weight"]).unwrap();
    let changes = written.open().unwrap().against(&model).unwrap();
    assert_eq!(changes.cells().iter().filter(|c| matches!(c, Change::LowRank(_))).count(), 3);
    let whole = written.against_base().unwrap();
    let at = whole.grid().cells.iter().position(|c| c.id == changes.grid().cells[1].id).unwrap();
    assert_eq!(changes.factors(1).unwrap(), whole.factors(at).unwrap());
}

#[test]
fn without_a_base_the_names_say_the_family() {
    for (case, family) in [
        ("plain", "llama-like"),
        ("patterns", "llama-like"),
        ("gpt2", "gpt2"),
        ("phi3", "phi3"),
        ("biases", "llama-like"),
    ] {
        let written = Written::read(case);
        let alone = written.open().unwrap().alone().unwrap();
        let based = written.against_base().unwrap();
        assert_eq!(alone.family(), family, "{case}");
        for (index, cell) in alone.grid().cells.iter().enumerate() {
            let at = based.grid().cells.iter().position(|c| c.id == cell.id).unwrap();
            let there = &based.grid().cells[at];
            assert_eq!((cell.out_features, cell.in_features), (there.out_features, there.in_features), "{case}");
            assert_eq!(alone.factors(index).unwrap(), based.factors(at).unwrap(), "{case} {}", cell.id);
        }
        let hit = based.cells().iter().filter(|c| **c != Change::None).count();
        assert_eq!(alone.grid().cells.len(), hit, "{case}");
    }
}

#[test]
fn columns_that_an_adapter_leaves_alone() {
    let alone = Written::read("rslora").open().unwrap().alone().unwrap();
    let missing: Vec<Component> = alone.grid().missing.iter().map(|m| m.component).collect();
    assert_eq!(missing, [Component::AttnK, Component::AttnO, Component::MlpUp, Component::MlpGate]);
    assert!(alone.grid().missing.iter().all(|m| m.reason == "the adapter changes none of its cells"));
    let layers: BTreeSet<u32> = alone.grid().cells.iter().map(|c| c.id.layer).collect();
    assert_eq!(layers, BTreeSet::from([0, 2]));
    assert_eq!(alone.grid().layers, 3);
}

/// 80 rows of q, k and v: with o known 48 + 16 + 16, without it anything.
#[test]
fn a_fused_module_whose_parts_cannot_be_told() {
    let mut written = Written::read("phi3");
    written.tensors.retain(|name, _| !name.contains("o_proj"));
    let error = written.open().unwrap().alone().unwrap_err().to_string();
    assert!(error.contains("qkv_proj") && error.contains("--against BASE"), "{error}");
    let error = Written::read("experts").open().unwrap().alone().unwrap_err().to_string();
    assert!(error.contains("--against BASE"), "{error}");
}

/// Experts of one tensor each, as transformers 4 had them in memory.
#[test]
fn experts_with_modules_of_their_own() {
    let mut written = Written::read("experts");
    let a: Vec<f32> = (0..2 * 36).map(|i| i as f32).collect();
    let b: Vec<f32> = (0..20 * 2).map(|i| i as f32 / 7.0).collect();
    written.tensors.retain(|name, _| !name.contains("experts"));
    let name = |part: &str| format!("base_model.model.model.layers.2.block_sparse_moe.experts.1.w3.lora_{part}.weight");
    written.tensors.insert(name("A"), (vec![2, 36], a.clone()));
    written.tensors.insert(name("B"), (vec![20, 2], b.clone()));
    let changes = written.against_base().unwrap();
    let id = CellId { layer: 2, component: Component::MlpUp, expert: Some(1) };
    let at = changes.grid().cells.iter().position(|c| c.id == id).unwrap();
    let factors = changes.factors(at).unwrap().unwrap();
    assert_eq!((factors.a, factors.b, factors.scaling), (a, b, 2.0));
}
