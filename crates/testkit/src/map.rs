use std::borrow::Cow;

use tomo_map::{
    Additivity, Cell, CellId, Column, Component, Direction, Grid, Map, Meaning, MetricInfo, Provenance, Scope, Score,
};

use crate::LlamaDims;

/// The grid of a llama-family model: seven cells per layer, bf16.
pub fn tiny_grid(dims: LlamaDims) -> Grid {
    let ids = (0..dims.layers)
        .flat_map(|layer| Component::ALL.into_iter().map(move |component| CellId { layer, component, expert: None }));
    let cells = ids.map(|id| {
        let (out_features, in_features) = dims.shape(id.component);
        Cell { id, out_features, in_features, tensor: LlamaDims::tensor_name(id), dtype: "BF16".to_owned() }
    });
    Grid { layers: dims.layers, cells: cells.collect(), missing: Vec::new() }
}

/// A description for a made-up metric: neutral, non-negative, comparable over the whole map. Change what matters with
/// struct update syntax.
pub fn metric_info(id: &str) -> MetricInfo {
    let text = |s: &str| Cow::Owned(s.to_owned());
    MetricInfo {
        id: text(id),
        title: text(id),
        summary: text("a metric made up for a test"),
        unit: text("ratio"),
        family: text("weights"),
        meaning: Meaning::Structure,
        direction: Direction::Neutral,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: text("made up for a test"),
    }
}

/// What a made-up metric says of a cell.
pub type ScoreOf = fn(CellId) -> Score;

/// A map of a llama-family model with one column per `(description, score of a cell)`.
pub fn tiny_map(dims: LlamaDims, columns: &[(MetricInfo, ScoreOf)]) -> Map {
    let grid = tiny_grid(dims);
    let columns = columns
        .iter()
        .map(|(info, score)| Column::new(info.clone(), grid.cells.iter().map(|c| score(c.id)).collect()))
        .collect();
    let provenance = Provenance {
        model: "tiny".to_owned(),
        model_digest: "0123456789abcdef".to_owned(),
        family: "llama".to_owned(),
        format: "safetensors".to_owned(),
        version: "0.0.0".to_owned(),
        command: "tomograph map tiny".to_owned(),
        started: "2000-01-01T00:00:00Z".to_owned(),
        ..Provenance::default()
    };
    Map { provenance, grid, columns, ..Map::default() }
}
