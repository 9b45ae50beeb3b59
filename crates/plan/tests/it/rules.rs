//! llama.cpp's own rule, against what llama-quantize printed (tools/reference/llama_types.py).

use std::collections::BTreeMap;

use serde::Deserialize;
use tomo_map::{Cell, CellId, Component, GgufHeader, Grid, Inventory, Map, Names, OtherTensor, Provenance};
use tomo_plan::{Choice, rules};

use crate::samples::{GGUF, bits};

#[derive(Deserialize)]
struct File {
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    family: String,
    layers: u32,
    #[serde(rename = "H")]
    heads: u64,
    #[serde(rename = "K")]
    values: u64,
    experts: u64,
    tensors: Vec<String>,
    shapes: Vec<Vec<u64>>,
    kinds: BTreeMap<char, String>,
    mixes: BTreeMap<String, String>,
    size: Option<Size>,
}

#[derive(Deserialize)]
struct Size {
    mix: String,
    metadata: u64,
    file: u64,
}

fn file() -> File {
    serde_json::from_str(include_str!("../../../../fixtures/plan/llama-types.json")).unwrap()
}

/// Which cells a tensor holds: components and rows, of every expert.
fn cells_of(case: &Case, name: &str, shape: &[u64]) -> Vec<Cell> {
    let Some((layer, part)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else { return vec![] };
    let width = shape[shape.len() - 1];
    let rows = if shape.len() > 1 { shape[shape.len() - 2] } else { return vec![] };
    let kv = width / case.heads * case.values;
    let parts: Vec<(Component, u64)> = match part {
        "attn_qkv.weight" => vec![(Component::AttnQ, width), (Component::AttnK, kv), (Component::AttnV, kv)],
        "attn_q.weight" => vec![(Component::AttnQ, rows)],
        "attn_k.weight" => vec![(Component::AttnK, rows)],
        "attn_v.weight" => vec![(Component::AttnV, rows)],
        "attn_output.weight" => vec![(Component::AttnO, rows)],
        "ffn_gate.weight" | "ffn_gate_exps.weight" => vec![(Component::MlpGate, rows)],
        "ffn_up.weight" if case.family == "phi3" => vec![(Component::MlpUp, rows / 2), (Component::MlpGate, rows / 2)],
        "ffn_up.weight" | "ffn_up_exps.weight" => vec![(Component::MlpUp, rows)],
        "ffn_down.weight" | "ffn_down_exps.weight" => vec![(Component::MlpDown, rows)],
        _ => vec![],
    };
    let experts: Vec<Option<u32>> = match part.contains("_exps") {
        true => (0..case.experts as u32).map(Some).collect(),
        false => vec![None],
    };
    let cell = |component, out_features, expert| Cell {
        id: CellId { layer: layer.parse().unwrap(), component, expert },
        out_features,
        in_features: width,
        tensor: name.to_owned(),
        dtype: "F16".to_owned(),
    };
    experts
        .into_iter()
        .flat_map(|e| parts.iter().map(move |(c, rows)| cell(*c, *rows, e)).collect::<Vec<_>>())
        .collect()
}

fn role(name: &str) -> &'static str {
    match name {
        "token_embd.weight" => "embedding",
        "output.weight" => "head",
        name if name.contains("norm") => "norm",
        _ => "router",
    }
}

fn map_of(case: &Case) -> Map {
    let mut cells: Vec<Cell> =
        case.tensors.iter().zip(&case.shapes).flat_map(|(name, shape)| cells_of(case, name, shape)).collect();
    cells.sort_by_key(|cell| cell.id);
    let names = |name: &str| Names { gguf: Some(name.to_owned()), hugging_face: None };
    let others = case.tensors.iter().zip(&case.shapes).filter(|(name, shape)| cells_of(case, name, shape).is_empty());
    let others = others.map(|(name, shape)| OtherTensor {
        tensor: name.clone(),
        role: role(name).to_owned(),
        shape: shape.clone(),
        dtype: "F32".to_owned(),
        bytes: 4 * shape.iter().product::<u64>(),
        names: names(name),
    });
    let inventory = Inventory {
        cells: cells.iter().map(|cell| names(&cell.tensor)).collect(),
        others: others.collect(),
        gguf: case.size.as_ref().map(|size| GgufHeader { metadata_bytes: size.metadata, alignment: 32 }),
    };
    let dims = [("H", case.heads), ("K", case.values)].map(|(letter, n)| (letter.to_owned(), n));
    Map {
        provenance: Provenance { family: case.family.clone(), dims: dims.into(), ..Provenance::default() },
        grid: Grid { layers: case.layers, cells, missing: vec![] },
        inventory: Some(Box::new(inventory)),
        ..Map::default()
    }
}

/// The type of each tensor as llama-quantize prints it.
fn printed<'a>(case: &'a Case, mix: &str) -> BTreeMap<&'a str, &'a str> {
    case.tensors.iter().map(String::as_str).zip(case.mixes[mix].chars().map(|c| case.kinds[&c].as_str())).collect()
}

#[test]
fn every_tensor_gets_the_type_that_llama_quantize_prints() {
    let mut compared = 0;
    for (name, case) in &file().cases {
        let map = map_of(case);
        for id in case.mixes.keys() {
            let (plain, imatrix) = id.strip_suffix("+imatrix").map_or((id.as_str(), false), |plain| (plain, true));
            let (mix, printed) = (rules::find(plain).unwrap(), printed(case, id));
            for (cell, stored) in map.grid.cells.iter().zip(rules::cells(&map, mix, imatrix)) {
                assert_eq!(stored.to_string(), printed[cell.tensor.as_str()], "{name}, {id}: {}", cell.tensor);
                compared += 1;
            }
            let others = &map.inventory.as_ref().unwrap().others;
            for tensor in others {
                let stored = rules::other(&map, mix, tensor, others).map_or("f32".to_owned(), |s| s.to_string());
                assert_eq!(stored, printed[tensor.tensor.as_str()], "{name}, {id}: {}", tensor.tensor);
            }
        }
    }
    assert!(compared > 20_000, "{compared}");
}

#[test]
fn every_mix_is_in_the_fixture() {
    let file = file();
    assert!(file.cases.values().all(|case| rules::MIXES.iter().all(|mix| case.mixes.contains_key(mix.id))));
    assert!(rules::find("Q4_K_M").is_ok());
    let error = rules::find("q4_k").unwrap_err().to_string();
    assert!(error.contains("q4_k_m"), "{error}");
}

#[test]
fn a_file_takes_the_bytes_that_llama_quantize_writes() {
    let mut checked = 0;
    for (name, case) in &file().cases {
        let Some(size) = &case.size else { continue };
        let mut map = map_of(case);
        let mix = rules::find(&size.mix).unwrap();
        let inventory = map.inventory.as_mut().unwrap();
        // Embedding and head as llama-quantize stores them; the plan's others are what the checkpoint has.
        let printed = printed(case, &size.mix);
        for tensor in &mut inventory.others {
            let columns = *tensor.shape.last().unwrap();
            let rows = tensor.shape.iter().product::<u64>() / columns;
            let stored: tomo_plan::Stored = printed[tensor.tensor.as_str()].parse().unwrap();
            tensor.bytes = stored.bytes(rows, columns);
        }
        let stored = rules::cells(&map, mix, false);
        let options = tomo_plan::Options {
            types: GGUF.types.iter().map(|t| t.parse().unwrap()).collect(),
            keep: map
                .grid
                .cells
                .iter()
                .zip(&stored)
                .map(|(cell, t)| format!("{}={t}", cell.id).parse().unwrap())
                .collect(),
            ..bits("16bpw")
        };
        let mut errors = map.clone();
        for kind in ["q4_k", "q5_k", "q6_k", "q5_0", "q5_1", "q8_0"] {
            let scores = vec![tomo_map::Score::from_value(0.1); map.grid.cells.len()];
            errors.columns.push(tomo_map::Column::new(crate::samples::info(&format!("err-{kind}")), scores));
        }
        let plan = tomo_plan::make_plan(&errors, &GGUF, &options).unwrap();
        assert!(plan.cells.iter().zip(&stored).all(|(cell, stored)| cell.choice == Choice::Stored(*stored)), "{name}");
        assert_eq!(plan.totals.file, Some(size.file), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 3);
}
