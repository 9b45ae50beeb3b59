//! Real files through the checkpoint crate's reader.

use std::path::Path;

use tomo_map::Component;
use tomo_model::{Model, OpenOptions, Role};

use crate::source::{Fixture, assert_same_cells, fixtures, loaded};

fn open(path: &Path) -> Model {
    Model::open(tomo_checkpoint::open(path).unwrap(), &OpenOptions::default()).unwrap()
}

#[test]
fn every_fixture_from_its_folder() {
    for fixture in Fixture::all() {
        let model = open(&fixtures().join("parity").join(&fixture.case));
        assert_eq!(model.family(), fixture.family());
        assert_same_cells(&fixture.case, &loaded(&model), &fixture.expected());
        for index in 0..model.cells().len() {
            model.release(index);
        }
    }
}

/// `TOMOGRAPH_SMOLLM2` names SmolLM2-135M-Instruct.Q4_1.gguf.
#[test]
#[ignore = "needs the real model"]
fn smollm2_has_210_cells() {
    let path = std::env::var_os("TOMOGRAPH_SMOLLM2").expect("TOMOGRAPH_SMOLLM2 names the GGUF file");
    let model = open(Path::new(&path));
    assert_eq!((model.family(), model.cells().len(), model.unknown().len()), ("llama", 210, 0));
    let dims = model.dims();
    assert_eq!((dims.layers, dims.hidden, dims.heads, dims.kv_heads), (30, Some(576), Some(9), Some(3)));
    assert_eq!((dims.head_dim, dims.ffn, dims.vocab), (Some(64), Some(1536), Some(49152)));
    // 272 tensors: 210 cells, 61 norms, one embedding that is also the head.
    let count = |role| model.others().iter().filter(|o| o.role == role).count();
    assert_eq!((count(Role::Norm), count(Role::Embedding), model.others().len()), (61, 1, 62));
    let mut weights = Vec::new();
    for (index, cell) in model.cells().iter().enumerate() {
        model.load(index, &mut weights).unwrap();
        let (rows, columns) = match cell.id.component {
            Component::AttnQ | Component::AttnO => (576, 576),
            Component::AttnK | Component::AttnV => (192, 576),
            Component::MlpUp | Component::MlpGate => (1536, 576),
            Component::MlpDown => (576, 1536),
        };
        assert_eq!((cell.out_features, cell.in_features), (rows, columns), "{}", cell.id);
        assert!(weights.iter().all(|w| w.is_finite()) && weights.iter().any(|w| *w != 0.0), "{}", cell.id);
        model.release(index);
    }
}
