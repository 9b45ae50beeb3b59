//! The GGUF dialect: the fixtures renamed by gguf-py's map, with what llama.cpp's converter does to the values.

use std::collections::BTreeMap;

use tomo_checkpoint::{Config, MetaValue};

use crate::source::{Fixture, Tensors, TestSource, assert_same_cells, loaded};

/// Row `from` of the result is row `order[from]` of the tensor.
fn reorder(tensor: &(Vec<u64>, Vec<f32>), order: &[usize]) -> (Vec<u64>, Vec<f32>) {
    let width = tensor.0.get(1).map_or(1, |w| *w as usize);
    let values = order.iter().flat_map(|row| tensor.1[row * width..(row + 1) * width].to_vec()).collect();
    (tensor.0.clone(), values)
}

/// `reshape(heads, 2, C / 2).swapaxes(1, 2)` of the rows.
fn paired(rows: usize, heads: usize) -> Vec<usize> {
    let half = rows / heads / 2;
    (0..heads).flat_map(|h| (0..half).flat_map(move |i| [0, 1].map(|j| (h * 2 + j) * half + i))).collect()
}

/// `[H, 3, C]` rows gathered to `[3, H, C]`.
fn gathered(rows: usize, heads: usize) -> Vec<usize> {
    let width = rows / heads / 3;
    (0..3).flat_map(|part| (0..heads).flat_map(move |h| (0..width).map(move |c| (h * 3 + part) * width + c))).collect()
}

fn transposed(tensor: &(Vec<u64>, Vec<f32>)) -> (Vec<u64>, Vec<f32>) {
    let (rows, columns) = (tensor.0[0] as usize, tensor.0[1] as usize);
    let values = (0..columns).flat_map(|c| (0..rows).map(move |r| tensor.1[r * columns + c])).collect();
    (vec![columns as u64, rows as u64], values)
}

/// The values as the converter of architecture `arch` writes them.
fn converted(fixture: &Fixture, arch: &str, name: &str) -> (Vec<u64>, Vec<f32>) {
    let tensor = &fixture.tensors[name];
    let rows = tensor.0[0] as usize;
    let heads = |key| fixture.dim(key).unwrap() as usize;
    let pairs = fixture.record["gguf_pairs"].as_bool().unwrap();
    match arch {
        _ if pairs && name.contains("q_proj.") => reorder(tensor, &paired(rows, heads("heads"))),
        _ if pairs && name.contains("k_proj.") => reorder(tensor, &paired(rows, heads("kv_heads"))),
        "gpt2" if [".c_attn.weight", ".c_proj.weight", ".c_fc.weight"].iter().any(|s| name.ends_with(s)) => {
            transposed(tensor)
        }
        "gptneox" if name.contains("query_key_value") => reorder(tensor, &gathered(rows, heads("heads"))),
        _ => tensor.clone(),
    }
}

/// `blk.0.ffn_up` of expert tensors, and the expert.
fn expert_of(name: &str) -> Option<(String, usize)> {
    let (head, tail) = name.split_once(".experts.")?;
    let (expert, projection) = tail.split_once('.')?;
    let layer = head.split('.').nth(2)?;
    let part = match projection.strip_suffix(".weight")? {
        "w1" | "gate_proj" => "gate",
        "w2" | "down_proj" => "down",
        "w3" | "up_proj" => "up",
        _ => return None,
    };
    Some((format!("blk.{layer}.ffn_{part}"), expert.parse().ok()?))
}

pub(crate) fn tensors_of(fixture: &Fixture, arch: &str, stack: bool) -> Tensors {
    let mut out = Tensors::new();
    let mut experts = BTreeMap::<String, BTreeMap<usize, (Vec<u64>, Vec<f32>)>>::new();
    let mut norms_of_heads = BTreeMap::<String, Vec<f32>>::new();
    for name in fixture.tensors.keys() {
        if let Some((stem, expert)) = expert_of(name) {
            experts.entry(stem).or_default().insert(expert, converted(fixture, arch, name));
        } else if let Some((head, _)) = name.split_once("_layernorm.norms.") {
            let parts: Vec<_> = head.split('.').collect();
            let stem = format!("blk.{}.attn_{}_norm.weight", parts[2], parts[4]);
            norms_of_heads.entry(stem).or_default().extend(&fixture.tensors[name].1);
        } else {
            let mapped = fixture.record["gguf_names"][name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
            out.insert(mapped, converted(fixture, arch, name));
        }
    }
    for (stem, stacked) in experts {
        if stack {
            let mut shape = stacked[&0].0.clone();
            shape.insert(0, stacked.len() as u64);
            out.insert(format!("{stem}_exps.weight"), (shape, stacked.into_values().flat_map(|t| t.1).collect()));
        } else {
            out.extend(stacked.into_iter().map(|(e, tensor)| (format!("{stem}.{e}.weight"), tensor)));
        }
    }
    out.extend(norms_of_heads.into_iter().map(|(name, values)| (name, (vec![values.len() as u64], values))));
    out
}

pub(crate) fn metadata_of(fixture: &Fixture, arch: &str) -> BTreeMap<String, MetaValue> {
    let mut out = BTreeMap::from([("general.architecture".to_owned(), MetaValue::Text(arch.to_owned()))]);
    let keys = [
        ("block_count", "layers"),
        ("embedding_length", "hidden"),
        ("attention.head_count", "heads"),
        ("attention.head_count_kv", "kv_heads"),
        ("attention.key_length", "head_dim"),
        ("expert_count", "experts"),
        ("expert_feed_forward_length", "expert_ffn"),
        ("feed_forward_length", "ffn"),
    ];
    for (key, dim) in keys {
        if let Some(n) = fixture.dim(dim) {
            out.insert(format!("{arch}.{key}"), MetaValue::Unsigned(n));
        }
    }
    out
}

fn check(fixture: &Fixture, stack: bool) {
    let Some(arch) = fixture.record["gguf_architecture"].as_str() else { return };
    let mut metadata = metadata_of(fixture, arch);
    if arch == "llama" && fixture.family() == "mixtral" {
        // llama.cpp writes an expert's width under the dense key for Mixtral.
        let width = metadata.remove("llama.expert_feed_forward_length").unwrap();
        metadata.insert("llama.feed_forward_length".to_owned(), width);
    }
    let source = TestSource::new(tensors_of(fixture, arch, stack), Config::Gguf(metadata));
    let case = &fixture.case;
    let model = source.open().unwrap_or_else(|e| panic!("{case}: {e}"));
    assert_eq!(model.family(), fixture.family(), "{case}");
    let unknown: Vec<_> = model.unknown().iter().map(|t| &t.name).collect();
    assert!(unknown.is_empty(), "{case}: {unknown:?}");
    assert_eq!(model.dims().vocab, fixture.dim("vocab"), "{case}");
    assert_same_cells(case, &loaded(&model), &fixture.expected());
}

#[test]
fn every_fixture_gives_the_same_cells_in_gguf() {
    let mut architectures = Vec::new();
    for fixture in Fixture::all() {
        check(&fixture, true);
        architectures.extend(fixture.record["gguf_architecture"].as_str().map(str::to_owned));
    }
    for family in tomo_model::FAMILIES {
        for arch in family.gguf_architectures {
            assert!(architectures.iter().any(|a| a == arch), "{arch} has no fixture");
        }
    }
}

#[test]
fn experts_one_tensor_each_as_in_old_files() {
    for case in ["mixtral", "qwen3_moe_sparse"] {
        check(&Fixture::read(case), false);
    }
}

#[test]
fn one_number_per_layer_is_understood_when_all_are_equal() {
    let fixture = Fixture::read("llama");
    let tensors = tensors_of(&fixture, "llama", true);
    let mut metadata = metadata_of(&fixture, "llama");
    let key = "llama.feed_forward_length";
    let width = fixture.dim("ffn").unwrap();
    metadata.insert(key.to_owned(), MetaValue::Array(vec![MetaValue::Unsigned(width); 3]));
    assert!(TestSource::new(tensors.clone(), Config::Gguf(metadata.clone())).open().is_ok());
    metadata.insert(key.to_owned(), MetaValue::Array(vec![MetaValue::Unsigned(width), MetaValue::Unsigned(7)]));
    let error = TestSource::new(tensors, Config::Gguf(metadata)).open().unwrap_err().to_string();
    assert!(error.contains(key) && error.contains("different"), "{error}");
}
