use std::collections::BTreeMap;
use std::fs;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use tomo_phantom::{Shape, ShapedDType, write_shaped};

const SMALL: Shape =
    Shape { layers: 3, hidden: 96, ffn: 160, heads: 6, kv_heads: 2, vocab: 500, tied: false, dtype: ShapedDType::Bf16 };

/// Every tensor of a folder: shape, type and data.
fn read(dir: &std::path::Path) -> BTreeMap<String, (Vec<usize>, Dtype, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        assert_ne!(entry.extension().unwrap(), "part", "a half-written file is left");
        if entry.extension().unwrap() == "safetensors" {
            let bytes = fs::read(&entry).unwrap();
            for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
                all.insert(name.to_owned(), (view.shape().to_vec(), view.dtype(), view.data().to_vec()));
            }
        }
    }
    all
}

#[test]
fn shards_hold_the_same_weights_as_one_file_and_the_index_names_them() {
    let [one, five] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let bytes = write_shaped(one.path(), &SMALL, 1, 1).unwrap();
    assert_eq!(write_shaped(five.path(), &SMALL, 1, 5).unwrap(), bytes);
    let (whole, parts) = (read(one.path()), read(five.path()));
    assert_eq!(whole, parts);
    assert_eq!(whole.len(), 3 * 9 + 3);
    assert_eq!(whole["model.layers.2.self_attn.k_proj.weight"].0, [32, 96]);
    assert_eq!(whole["model.layers.0.mlp.down_proj.weight"].0, [96, 160]);
    assert_eq!(whole.values().map(|t| t.2.len() as u64).sum::<u64>(), bytes);

    let index = fs::read(five.path().join("model.safetensors.index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["metadata"]["total_size"], bytes);
    for (name, file) in index["weight_map"].as_object().unwrap() {
        let bytes = fs::read(five.path().join(file.as_str().unwrap())).unwrap();
        assert!(SafeTensors::deserialize(&bytes).unwrap().tensor(name).is_ok(), "{name} is not in {file}");
    }
    assert_eq!(index["weight_map"].as_object().unwrap().len(), whole.len());
    assert!(!one.path().join("model.safetensors.index.json").exists());
}

#[test]
fn matrices_have_full_rank_and_the_spread_of_weights() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { dtype: ShapedDType::F32, tied: true, ..SMALL };
    write_shaped(dir.path(), &shape, 3, 1).unwrap();
    let all = read(dir.path());
    assert!(!all.contains_key("lm_head.weight"));
    let (shape, dtype, bytes) = &all["model.layers.1.mlp.up_proj.weight"];
    assert_eq!(*dtype, Dtype::F32);
    let entries: Vec<f64> =
        bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect();
    let sigma = faer::MatRef::from_row_major_slice(&entries, shape[0], shape[1]).singular_values().unwrap();
    // Marchenko-Pastur for 160 x 96: from .02 (sqrt 160 - sqrt 96) = .057 to .02 (sqrt 160 + sqrt 96) = .449.
    assert!(sigma[95] > 0.04, "{}", sigma[95]);
    assert!(sigma[0] > 0.40 && sigma[0] < 0.52, "{}", sigma[0]);
}

#[test]
fn presets_have_the_sizes_they_say() {
    // Counted by hand from the shapes; writing them would take gigabytes.
    let weights = |s: Shape| {
        let (d, c) = (s.hidden, s.hidden / s.heads);
        let layer = 2 * d * s.heads * c + 2 * d * s.kv_heads * c + 3 * d * s.ffn + 2 * d;
        s.layers * layer + d + s.vocab * d * if s.tied { 1 } else { 2 }
    };
    assert_eq!(weights(Shape::LIKE_1_5B), 1_543_656_960);
    assert_eq!(weights(Shape::LIKE_8B), 8_030_261_248);
}

#[test]
fn impossible_shapes_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    assert!(write_shaped(dir.path(), &Shape { heads: 5, ..SMALL }, 0, 1).is_err());
    assert!(write_shaped(dir.path(), &Shape { heads: 0, ..SMALL }, 0, 1).is_err());
    assert!(write_shaped(dir.path(), &Shape { layers: 0, ..SMALL }, 0, 1).is_err());
    assert!(write_shaped(dir.path(), &SMALL, 0, 0).is_err());
    assert!(write_shaped(dir.path(), &SMALL, 0, 10_000).is_err());
}
