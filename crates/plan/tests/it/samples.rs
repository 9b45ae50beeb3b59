//! Clients and maps that tests plan with.

use std::borrow::Cow;

use tomo_map::{
    Additivity, Cell, CellId, Column, Component, Direction, GgufHeader, Inventory, Map, MetricInfo, Names, OtherTensor,
    Score,
};
use tomo_plan::{Ask, Client, Dialect, Fuse, Kind, Options, Plan, PlanError, Recipe, Stored};
use tomo_testkit::{LlamaDims, metric_info, tiny_map};

fn no_recipes(_: &Plan) -> Result<Vec<Recipe>, PlanError> {
    Ok(Vec::new())
}

fn no_check(_: &Plan, _: &[Recipe]) -> Result<(), PlanError> {
    Ok(())
}

fn bytes(stored: Stored, rows: u64, columns: u64) -> u64 {
    stored.bytes(rows, columns)
}

/// Groups have to divide rows.
fn fits(stored: Stored, columns: u64) -> bool {
    !matches!(stored, Stored::Integer { group, .. } if !columns.is_multiple_of(group))
}

const ALL: &[Kind] = &[Kind::Bits, Kind::Rank, Kind::Train, Kind::Sparsity];

/// Stores what GGUF does, and knows its names.
pub(crate) static GGUF: Client = Client {
    id: "test-gguf",
    title: "a client made up for tests",
    source: "",
    kinds: ALL,
    types: &["q2_k", "q3_k", "q4_0", "iq4_nl", "q4_1", "q4_k", "q5_0", "q5_k", "q5_1", "q6_k", "q8_0", "bf16", "f16"],
    usual: &["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"],
    dialect: Dialect::Gguf,
    fuse: Fuse::Free,
    fits,
    bytes,
    write: no_recipes,
    check: no_check,
};

/// Stores integers, and joins q, k and v, and gate and up.
pub(crate) static FUSING: Client = Client {
    id: "test-fusing",
    types: &["int2:g32", "int3:g32", "int4:g32", "int4:g64", "int8:g32", "original"],
    usual: &["int2:g32", "int3:g32", "int4:g32", "int8:g32"],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Demanded,
    ..GGUF
};

/// Stores integers, and joins nothing.
pub(crate) static INTEGERS: Client = Client { id: "test-integers", fuse: Fuse::Free, ..FUSING };

/// Width 64: rows are whole blocks of 32, none of 256.
pub(crate) fn dims(layers: u32) -> LlamaDims {
    LlamaDims { layers, hidden: 64, heads: 4, kv_heads: 2, head_dim: 16, ffn: 96, vocab: 32 }
}

/// A score per cell, by its position in the grid.
pub(crate) type Of<'a> = &'a dyn Fn(usize, &Cell) -> f64;

/// A map with names in both dialects and an embedding in f32, and these columns.
pub(crate) fn map(layers: u32, columns: &[(&str, Of<'_>)]) -> Map {
    let mut map = tiny_map(dims(layers), &[]);
    map.inventory = Some(Box::new(inventory(&map.grid.cells)));
    map.provenance.group = Some(32);
    map.provenance.text_digest = Some("digest of a text".to_owned());
    for (id, of) in columns {
        let scores = map.grid.cells.iter().enumerate().map(|(at, cell)| Score::from_value(of(at, cell)));
        map.columns.push(Column::new(info(id), scores.collect()));
    }
    map
}

pub(crate) fn info(id: &str) -> MetricInfo {
    let additive =
        id.starts_with("quant-kl") || id.starts_with("predicted-kl") || id == "noise-alpha" || id == "fisher";
    MetricInfo {
        direction: Direction::High,
        additivity: if additive { Additivity::Additive } else { Additivity::NonNegative },
        unit: Cow::Borrowed(if id.contains("-kl-") { "nats per token" } else { "ratio" }),
        ..metric_info(id)
    }
}

fn inventory(cells: &[Cell]) -> Inventory {
    let tensor = |name: &str, role: &str, shape: &[u64]| OtherTensor {
        tensor: name.to_owned(),
        role: role.to_owned(),
        shape: shape.to_vec(),
        dtype: "F32".to_owned(),
        bytes: 4 * shape.iter().product::<u64>(),
        names: Names { gguf: Some(name.to_owned()), hugging_face: None },
    };
    let names = cells
        .iter()
        .map(|cell| Names { gguf: Some(gguf_name(cell.id)), hugging_face: Some(LlamaDims::tensor_name(cell.id)) });
    Inventory {
        cells: names.collect(),
        others: vec![tensor("output_norm.weight", "norm", &[64]), tensor("token_embd.weight", "embedding", &[32, 64])],
        gguf: Some(GgufHeader { metadata_bytes: 100, alignment: 32 }),
    }
}

pub(crate) fn gguf_name(id: CellId) -> String {
    let part = match id.component {
        Component::AttnQ => "attn_q",
        Component::AttnK => "attn_k",
        Component::AttnV => "attn_v",
        Component::AttnO => "attn_output",
        Component::MlpUp => "ffn_up",
        Component::MlpDown => "ffn_down",
        Component::MlpGate => "ffn_gate",
    };
    format!("blk.{}.{part}.weight", id.layer)
}

pub(crate) fn bits(asked: &str) -> Options {
    Options::new(Kind::Bits, asked.parse::<Ask>().unwrap())
}

/// Errors of GGUF's types as they fall with bits, about.
pub(crate) fn error_of(format: &str) -> f64 {
    match format {
        "q4_0" => 0.08,
        "q4_1" => 0.07,
        "q5_0" => 0.04,
        "q5_1" => 0.035,
        "q8_0" => 0.005,
        other => panic!("no error of {other}"),
    }
}

/// Costs that differ a hundredfold between cells, in no order.
pub(crate) fn importance(at: usize) -> f64 {
    1e-4 * 10.0_f64.powf(2.0 * ((at * 37 % 101) as f64 / 101.0))
}

/// A map whose measured costs of the usual types are importance times squared error.
pub(crate) fn measured(layers: u32) -> Map {
    let kl = |format: &'static str| move |at: usize, _: &Cell| importance(at) * error_of(format).powi(2);
    let formats = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"];
    let columns: Vec<_> = formats.iter().map(|format| (format!("quant-kl-{format}"), kl(format))).collect();
    let columns: Vec<(&str, Of<'_>)> = columns.iter().map(|(id, of)| (id.as_str(), of as Of<'_>)).collect();
    map(layers, &columns)
}
