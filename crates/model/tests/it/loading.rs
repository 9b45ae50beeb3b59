//! Storage layouts against each other.

use std::sync::Arc;

use serde_json::json;
use tomo_checkpoint::{Config, DType};
use tomo_map::{Cell, CellId, Component, Grid};
use tomo_model::{CellSource, Model, OpenOptions, Storage};

use crate::source::{Fixture, Tensors, TestSource, assert_same_cells, loaded};

/// llama's seven matrices, fused as phi3 fuses them: the same cells must come out.
#[test]
fn fused_and_separate_give_equal_cells() {
    let mut fixture = Fixture::read("mistral");
    let separate = loaded(&fixture.source().open().unwrap());
    for layer in 0..3 {
        let mut take = |name: &str| fixture.tensors.remove(&format!("model.layers.{layer}.{name}.weight")).unwrap();
        let stack = |parts: Vec<(Vec<u64>, Vec<f32>)>| {
            let rows = parts.iter().map(|p| p.0[0]).sum();
            let columns = parts[0].0[1];
            (vec![rows, columns], parts.into_iter().flat_map(|p| p.1).collect())
        };
        let qkv = stack(["q_proj", "k_proj", "v_proj"].map(|p| take(&format!("self_attn.{p}"))).to_vec());
        let gate_up = stack(["gate_proj", "up_proj"].map(|p| take(&format!("mlp.{p}"))).to_vec());
        fixture.tensors.insert(format!("model.layers.{layer}.self_attn.qkv_proj.weight"), qkv);
        fixture.tensors.insert(format!("model.layers.{layer}.mlp.gate_up_proj.weight"), gate_up);
    }
    fixture.config["model_type"] = "phi3".into();
    let model = fixture.source().open().unwrap();
    assert_eq!(model.family(), "phi3");
    assert_same_cells("fused", &loaded(&model), &separate);
}

/// Experts as transformers 5 holds them in memory, `[E, 2*F, D]` and `[E, D, F]`, against one tensor per expert.
#[test]
fn stacked_and_separate_experts_give_equal_cells() {
    let mut fixture = Fixture::read("olmoe");
    let expected = fixture.expected();
    for layer in 0..3 {
        let (mut gate_up, mut down) = (Vec::new(), Vec::new());
        for e in 0..3 {
            let mut take = |p: &str| {
                fixture.tensors.remove(&format!("model.layers.{layer}.mlp.experts.{e}.{p}_proj.weight")).unwrap().1
            };
            gate_up.extend([take("gate"), take("up")].concat());
            down.extend(take("down"));
        }
        fixture.tensors.insert(format!("model.layers.{layer}.mlp.experts.gate_up_proj"), (vec![3, 40, 36], gate_up));
        fixture.tensors.insert(format!("model.layers.{layer}.mlp.experts.down_proj"), (vec![3, 36, 20], down));
    }
    assert_same_cells("stacked", &loaded(&fixture.source().open().unwrap()), &expected);
    assert_same_cells("stacked, bare", &loaded(&fixture.bare_source().open().unwrap()), &expected);
}

/// A matrix whose values say where they stand.
fn numbered(rows: u64, columns: u64) -> Vec<f32> {
    (0..rows * columns).map(|i| i as f32).collect()
}

fn model_of(shape: &[u64], dtype: DType, storage: Storage, out_features: u64, in_features: u64) -> Model {
    let tensors = Tensors::from([("w".to_owned(), (shape.to_vec(), numbered(1, shape.iter().product())))]);
    let source = TestSource::new(tensors, Config::Absent).with_dtype("w", dtype);
    let id = CellId { layer: 0, component: Component::AttnQ, expert: None };
    let cell = Cell { id, out_features, in_features, tensor: "w".to_owned(), dtype: dtype.name().to_owned() };
    let place = CellSource { id, tensor: "w".to_owned(), storage, out_features, in_features };
    let grid = Grid { layers: 1, cells: vec![cell], missing: Vec::new() };
    Model::from_parts(Arc::new(source), "test".to_owned(), grid, vec![place])
}

fn load(model: &Model) -> Vec<f32> {
    let mut out = Vec::new();
    model.load(0, &mut out).unwrap();
    out
}

#[test]
fn transposed_storage_is_undone_at_every_size() {
    // Around the strip of 64 inputs, with columns before and after the cell's.
    for (inputs, total, start, length) in
        [(1, 1, 0, 1), (63, 5, 1, 3), (64, 7, 7 - 2, 2), (65, 4, 0, 4), (200, 9, 2, 6)]
    {
        let storage = Storage { transposed: true, ..Storage::rows(start, length) };
        let found = load(&model_of(&[inputs, total], DType::BF16, storage, length, inputs));
        let cell = |o: u64, i: u64| (i * total + start + o) as f32;
        let expected: Vec<f32> = (0..length).flat_map(|o| (0..inputs).map(move |i| cell(o, i))).collect();
        assert_eq!(found, expected, "{inputs} x {total}, {length} from {start}");
    }
}

#[test]
fn strided_transposed_runs() {
    let storage = Storage { start: 2, length: 2, stride: 6, count: 3, transposed: true, rope_pairs: None };
    let found = load(&model_of(&[70, 18], DType::F32, storage, 6, 70));
    let columns = [2, 3, 8, 9, 14, 15];
    let expected: Vec<f32> = columns.iter().flat_map(|c| (0..70).map(move |i| (i * 18 + c) as f32)).collect();
    assert_eq!(found, expected);
}

/// Blocks of 32 cannot be entered in their middle: whole rows are decoded instead.
#[test]
fn transposed_blocks_that_a_cell_cuts() {
    let storage = Storage { transposed: true, ..Storage::rows(40, 10) };
    let found = load(&model_of(&[66, 64], DType::Q8_0, storage, 10, 66));
    let expected: Vec<f32> = (40..50).flat_map(|c| (0..66).map(move |i| (i * 64 + c) as f32)).collect();
    assert_eq!(found, expected);
}

#[test]
fn rows_of_quantized_blocks() {
    let storage = Storage { start: 1, length: 2, stride: 3, count: 2, transposed: false, rope_pairs: None };
    let found = load(&model_of(&[6, 64], DType::Q4_0, storage, 4, 64));
    let expected: Vec<f32> = [1, 2, 4, 5].iter().flat_map(|r| (0..64).map(move |i| (r * 64 + i) as f32)).collect();
    assert_eq!(found, expected);
}

#[test]
fn not_a_number_is_not_hidden() {
    let mut fixture = Fixture::read("gpt2");
    let (_, values) = fixture.tensors.get_mut("transformer.h.1.mlp.c_fc.weight").unwrap();
    (values[5 * 52 + 7], values[6 * 52 + 8]) = (f32::NAN, f32::NEG_INFINITY);
    let model = fixture.source().open().unwrap();
    let up = &loaded(&model)["L1.mlp.up"].1;
    assert!(up[7 * 36 + 5].is_nan());
    assert_eq!(up[8 * 36 + 6], f32::NEG_INFINITY);
    assert_eq!(up.iter().filter(|x| !x.is_finite()).count(), 2);
}

#[test]
fn release_covers_what_load_read() {
    for (case, cell, expected) in [
        // q of 6 heads of 8, of [H, 3, C] rows of 48.
        ("gpt_neox", "L0.attn.k", (8 * 48, (5 * 24 + 16) * 48)),
        ("phi3", "L1.attn.v", ((48 + 16) * 48, (48 + 32) * 48)),
        ("gpt2", "L2.attn.q", (0, 36 * 108)),
        ("llama", "L2.mlp.down", (0, 36 * 52)),
    ] {
        let source = Arc::new(Fixture::read(case).source());
        let model = Model::open(source.clone(), &OpenOptions::default()).unwrap();
        let index = model.cells().iter().position(|c| c.id.to_string() == cell).unwrap();
        model.release(index);
        let released = source.released.lock().unwrap();
        let (start, end) = expected;
        assert_eq!(*released, [(model.cells()[index].tensor.clone(), start..end)], "{case} {cell}");
    }
}

#[test]
fn bytes_of_cells_add_up_to_their_tensors() {
    for case in ["phi3", "gpt_neox", "gpt2", "mixtral", "gemma3_multimodal"] {
        let fixture = Fixture::read(case);
        let model = fixture.source().open().unwrap();
        let sum: u64 = (0..model.cells().len()).map(|i| model.cell_bytes(i)).sum();
        let mut names: Vec<_> = model.cells().iter().map(|c| &c.tensor).collect();
        names.dedup();
        names.sort();
        names.dedup();
        let tensors: u64 = names.iter().map(|n| model.source().tensor(n).unwrap().bytes).sum();
        assert_eq!(sum, tensors, "{case}");
    }
}

#[test]
fn the_multimodal_prefix_of_older_files() {
    let mut fixture = Fixture::read("gemma3_multimodal");
    let expected = fixture.expected();
    let rename = |name: &str| match name.strip_prefix("model.language_model.") {
        Some(rest) => format!("language_model.model.{rest}"),
        None => name.strip_prefix("model.").unwrap_or(name).to_owned(),
    };
    fixture.tensors = fixture.tensors.iter().map(|(n, t)| (rename(n), t.clone())).collect();
    let model = fixture.source().open().unwrap();
    assert!(model.unknown().is_empty(), "{:?}", model.unknown());
    assert_same_cells("older prefix", &loaded(&model), &expected);
}

/// The released multimodal configs leave out what equals the reference implementation's default: H 8, K 4, C 256.
#[test]
fn a_gemma3_config_without_heads() {
    let mut tensors = Tensors::new();
    let mut put = |name: &str, shape: [u64; 2]| {
        tensors.insert(
            format!("language_model.model.{name}.weight"),
            (shape.to_vec(), vec![0.0; (shape[0] * shape[1]) as usize]),
        );
    };
    put("embed_tokens", [7, 4]);
    for (name, shape) in [("q", [2048, 4]), ("k", [1024, 4]), ("v", [1024, 4]), ("o", [4, 2048])] {
        put(&format!("layers.0.self_attn.{name}_proj"), shape);
    }
    for (name, shape) in [("up", [3, 4]), ("down", [4, 3]), ("gate", [3, 4])] {
        put(&format!("layers.0.mlp.{name}_proj"), shape);
    }
    let text = json!({"hidden_size": 4, "intermediate_size": 3, "num_hidden_layers": 1, "model_type": "gemma3_text"});
    let config = json!({"model_type": "gemma3", "text_config": text});
    let model = TestSource::new(tensors, Config::HuggingFace(config)).open().unwrap();
    let dims = model.dims();
    assert_eq!((dims.heads, dims.kv_heads, dims.head_dim, dims.vocab), (Some(8), Some(4), Some(256), Some(7)));
}
