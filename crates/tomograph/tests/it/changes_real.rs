//! Changes to a real model against the same changes made by hooks and new weights in transformers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use tomo_map::Component;
use tomograph::map::stats::Bootstrap;
use tomograph::measure::{EveryToken, Kept, Measured};
use tomograph::model::change::{Defaults, Edit, EditContext, Means};
use tomograph::model::engine::{Engine, EngineOptions, Until, Unwatched};
use tomograph::model::{CellSource, Model};

/// `fixtures/golden/smollm2-changes.json`, made by `tools/reference/changes_real.py`.
#[derive(Deserialize)]
struct Golden {
    model_file: String,
    token_ids: String,
    patch_shift: u32,
    nll_original: f64,
    changes: BTreeMap<String, String>,
    cells: Vec<Cell>,
    /// By edit and number: `zero kl`.
    columns: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Cell {
    layer: u32,
    component: Component,
}

/// Nats per token.
const WITHIN: f64 = 1e-5;
/// Changes that miss it, and what they are held to: they cost tenths of a nat and more, and the model amplifies roundings. The first has
/// 0.399924 nats in float64; torch's own float32 is 6e-6 off that, ours 1.0e-5. The second has 3.055814; ours is 1.5e-5 off.
const MISSED: [(&str, f64); 2] = [("L0.attn.o=mean", 2e-5), ("L1.attn.v=rank:32", 2e-5)];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(name)
}

/// The second checkpoint of the script: each layer holds the matrices of the one `shift` further on.
fn shifted(model: &Model, path: &Path, shift: u32) -> Arc<Model> {
    let layers = model.grid().layers;
    let cell = |cell: &CellSource| {
        let from = (cell.id.layer + shift) % layers;
        let found = model.cells().iter().find(|c| (c.id.layer, c.id.component) == (from, cell.id.component)).unwrap();
        CellSource { id: cell.id, ..found.clone() }
    };
    let cells = model.cells().iter().map(cell).collect();
    let source = tomo_checkpoint::open(path).unwrap();
    Arc::new(Model::from_parts(source, model.family().to_owned(), model.grid().clone(), cells))
}

#[test]
#[ignore = "reads SmolLM2-135M-Instruct: set TOMOGRAPH_SMOLLM2 and run with --ignored"]
fn smollm2_changes_are_those_of_transformers() {
    let path = PathBuf::from(std::env::var_os("TOMOGRAPH_SMOLLM2").expect("TOMOGRAPH_SMOLLM2 names the GGUF file"));
    let golden_file: Golden = serde_json::from_slice(&std::fs::read(golden("smollm2-changes.json")).unwrap()).unwrap();
    assert_eq!(path.file_name().unwrap().to_string_lossy(), golden_file.model_file);
    let ids = std::fs::read(golden(&golden_file.token_ids)).unwrap();
    let sequences: Vec<Vec<u32>> = serde_json::from_slice(&ids).unwrap();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let model = Arc::new(tomograph::scan::open(&path, &[]).unwrap());
    let options = EngineOptions { memory_bytes: Some(1 << 30), ..EngineOptions::default() };
    let engine = Engine::new(Arc::clone(&model), model.architecture().unwrap(), options).unwrap();
    let place = |cell: &Cell| {
        let at = model.cells().iter().position(|c| (c.id.layer, c.id.component) == (cell.layer, cell.component));
        at.expect("the cell")
    };
    let cells: Vec<usize> = golden_file.cells.iter().map(place).collect();
    let edits: Vec<(usize, Edit)> = golden_file
        .changes
        .keys()
        .flat_map(|edit| cells.iter().map(move |cell| (*cell, edit.parse().unwrap())))
        .collect();
    assert!(cells.len() >= 21 && golden_file.changes.len() >= 8);

    let means = Means::needed(&model, &edits, sequences.len()).expect("means");
    let plan = engine.plan(&lengths, &[&means], means.bytes(), Until::LastBlock).unwrap();
    engine.forward(&sequences, &[&means], &plan, Until::LastBlock, &Unwatched).unwrap();
    let context = EditContext {
        model: &model,
        against: Some(&shifted(&model, &path, golden_file.patch_shift)),
        means: Some(&means),
        sequences: sequences.len(),
        defaults: Defaults { group: 128, seed: 0 },
    };
    // 576 columns are no blocks of 256.
    let note = context.make(0, &"q4_k".parse().unwrap()).unwrap().note.expect("a note");
    assert!(note.contains("q5_0 instead"), "{note}");
    let variants: Vec<_> =
        edits.iter().map(|edit| context.variant(std::slice::from_ref(edit)).unwrap().variant).collect();
    let plan = engine.plan_compare(&lengths, &variants).unwrap();
    let sink = EveryToken::new(variants.len(), sequences.len());
    for round in &plan.rounds {
        assert!(engine.compare(&sequences, &variants, round, &plan, &sink, None, &Unwatched).unwrap());
    }
    let Kept { original, damage } = sink.finish();
    let bootstrap = Bootstrap::new(sequences.len(), 100, 0);

    let (mut worst, mut wrong) = (BTreeMap::<&str, f64>::new(), Vec::new());
    for (at, (_, edit)) in edits.iter().enumerate() {
        let found = Measured::of(&original, &damage[at], &bootstrap).unwrap();
        assert!((found.nll_original.value - golden_file.nll_original).abs() <= WITHIN);
        let cell = &golden_file.cells[at % cells.len()];
        let change = format!("L{}.{}={edit}", cell.layer, cell.component);
        let nats = MISSED.iter().find(|(missed, _)| *missed == change).map_or(WITHIN, |(_, within)| *within);
        // Two of the 508 tokens may be as good as tied.
        let numbers =
            [("kl", found.kl.value, nats), ("nll", found.nll.value, nats), ("top1", found.top1.value, 2.5 / 508.0)];
        for (name, value, within) in numbers {
            let (key, column) = golden_file.columns.get_key_value(&format!("{edit} {name}")).expect("the column");
            let expected = column[at % cells.len()];
            let off = (value - expected).abs();
            if off.is_nan() || off > within {
                wrong.push(format!("{change}: {name} is {value} for {expected}, off by {off:.1e}"));
            }
            let seen = worst.entry(key).or_default();
            *seen = seen.max(off);
        }
    }
    eprintln!("largest distance from transformers, nats per token: {worst:#.1?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
