//! Writes the recipes of every client, for plans of a model with SmolLM2's shapes: what the scripts in
//! `tools/reference/clients` hold against the clients' own code.
//!
//! `cargo run -p tomo-plan --example recipes -- OUTDIR`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::path::Path;

use serde_json::json;
use tomo_plan::{CLIENTS, Choice, Client, Kind, Plan, find_client, recipes};
use tomo_testkit::LlamaDims;

#[path = "../tests/it/model.rs"]
#[allow(dead_code)]
mod model;

/// SmolLM2-135M.
const DIMS: LlamaDims =
    LlamaDims { layers: 30, hidden: 576, ffn: 1536, heads: 9, kv_heads: 3, head_dim: 64, vocab: 49152 };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out] = arguments.as_slice() else { panic!("one argument: the folder to write to") };
    let out = Path::new(out);
    for client in CLIENTS {
        for kind in client.kinds {
            let name = format!("{}-{}", client.id, format!("{kind:?}").to_lowercase());
            write(&out.join(name), client, &plan(*kind, client.usual));
        }
    }
    let client = |id: &str| find_client(id).unwrap();
    write(&out.join("mlx-two-levels"), client("mlx"), &plan(Kind::Bits, &["int4:g64", "int6:g64"]));
    let compressor = client("llm-compressor");
    let short: Vec<&str> = compressor.types.iter().copied().filter(|text| !text.ends_with("g128")).collect();
    write(&out.join("llm-compressor-all-levels"), compressor, &plan(Kind::Bits, &short));
    // The cost of the plans here grows with the layer: the best half of every column.
    let share = model::plan(DIMS, Kind::Train, |id| Choice::Train(id.layer >= 15));
    write(&out.join("axolotl-train-share"), client("axolotl"), &share);
}

fn write(folder: &Path, client: &'static Client, plan: &Plan) {
    fs::create_dir_all(folder).unwrap();
    let files = recipes(client, plan).unwrap();
    for file in &files {
        fs::write(folder.join(&file.name), &file.text).unwrap();
    }
    let usage: Vec<_> = files.iter().map(|file| json!({"file": file.name, "usage": file.usage})).collect();
    fs::write(folder.join("usage.json"), serde_json::to_string_pretty(&usage).unwrap()).unwrap();
    fs::write(folder.join("plan.json"), serde_json::to_string(&expected(client, plan)).unwrap()).unwrap();
    println!("{}", folder.display());
}

/// Decisions that differ from layer to layer, alike where a runtime joins matrices.
fn plan(kind: Kind, types: &[&str]) -> Plan {
    model::plan(DIMS, kind, |id| {
        let part = match id.component.index() {
            0..=2 => 0,
            4 | 6 => 4,
            other => other,
        };
        let number = (id.layer as usize * 5 + part * 3) % 11;
        match kind {
            Kind::Bits => Choice::Stored(types[number % types.len()].parse().unwrap()),
            Kind::Rank => {
                let rank = [0, 4, 8, 8, 8, 16, 32][(number + id.component.index()) % 7];
                Choice::Rank { rank, alpha: if rank > 8 { 2 * rank } else { 16 } }
            }
            Kind::Train => Choice::Train(number > 6),
            Kind::Sparsity => Choice::Sparsity([0.0, 0.3, 0.5, 0.65][number % 4]),
        }
    })
}

/// What the client's own code has to make of the files: a name and a decision per cell, and names that must stay out of it.
fn expected(client: &Client, plan: &Plan) -> serde_json::Value {
    let cells: Vec<_> = plan
        .cells
        .iter()
        .map(|cell| {
            let Choice::Stored(stored) = cell.choice else {
                return json!({"cell": cell.id.to_string(), "names": cell.names, "choice": cell.choice});
            };
            let bytes = (client.bytes)(stored, cell.out_features, cell.in_features);
            let on = stored.on(cell.in_features).to_string();
            json!({"cell": cell.id.to_string(), "names": cell.names, "choice": stored, "on": on, "bytes": bytes,
                "shape": [cell.out_features, cell.in_features]})
        })
        .collect();
    let others: Vec<_> = plan
        .others
        .iter()
        .map(|other| json!({"names": other.names, "role": other.role, "shape": other.shape}))
        .collect();
    json!({"cells": cells, "others": others})
}
