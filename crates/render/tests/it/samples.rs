//! Maps to draw: made here, seeded by arithmetic, shaped like the figure this project grew from.

use std::borrow::Cow;

use tomo_map::{
    Additivity, Cell, CellId, Column, Component, Direction, Grid, Map, Meaning, MetricInfo, MissingColumn, Provenance,
    Scope, Score, Status,
};

pub(crate) fn info(id: &str, title: &str) -> MetricInfo {
    MetricInfo {
        id: Cow::Owned(id.to_owned()),
        title: Cow::Owned(title.to_owned()),
        summary: "Share of the weights whose stored value the run changed".into(),
        unit: "share of weights".into(),
        family: "delta".into(),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: "It follows 1/rms(W), because bf16 absorbs small updates; read it beside rms".into(),
    }
}

/// A number in -1..1 that looks random and is the same everywhere.
fn jitter(layer: u32, column: u32) -> f64 {
    let mut x = u64::from(layer).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ u64::from(column + 1).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 32;
    (x % 20_001) as f64 / 10_000.0 - 1.0
}

/// The figure's description, at any depth: v high early and paler late, o orange then light blue, q and k dark blue,
/// up and down light, gate lowest early.
pub(crate) fn figure_value(layer: u32, layers: u32, component: Component) -> f64 {
    let depth = f64::from(layer) / f64::from(layers);
    let early = 1.0 / (1.0 + ((depth - 0.6) * 30.0).exp());
    let level = match component {
        Component::AttnQ => 0.124,
        Component::AttnK => 0.126,
        Component::AttnV => 0.148 + 0.010 * early,
        Component::AttnO => 0.137 + 0.018 * early,
        Component::MlpUp => 0.136,
        Component::MlpDown => 0.138,
        Component::MlpGate => 0.133 - 0.009 * early,
    };
    level + 0.002 * jitter(layer, component.index() as u32)
}

pub(crate) fn grid(layers: u32) -> Grid {
    let cells = (0..layers).flat_map(|layer| {
        Component::ALL.map(|component| {
            let (out_features, in_features) = match component {
                Component::AttnQ | Component::AttnO => (1536, 1536),
                Component::AttnK | Component::AttnV => (256, 1536),
                Component::MlpUp | Component::MlpGate => (8960, 1536),
                Component::MlpDown => (1536, 8960),
            };
            Cell {
                id: CellId { layer, component, expert: None },
                out_features,
                in_features,
                tensor: format!("model.layers.{layer}.{component}.weight"),
                dtype: "BF16".into(),
            }
        })
    });
    Grid { layers, cells: cells.collect(), missing: Vec::new() }
}

pub(crate) fn map(layers: u32) -> Map {
    let grid = grid(layers);
    let figure = |c: &Cell| Score::from_value(figure_value(c.id.layer, layers, c.id.component));
    let columns = vec![
        Column::new(info("update-density", "Update density"), grid.cells.iter().map(figure).collect()),
        Column::new(
            MetricInfo {
                middle: Some(0.0),
                additivity: Additivity::Signed,
                unit: "nats per token".into(),
                summary: "Loss after the cell is replaced, minus loss before".into(),
                caveat: "".into(),
                ..info("swap-loss", "Loss change after a swap")
            },
            grid.cells
                .iter()
                .map(|c| {
                    let v = (figure_value(c.id.layer, layers, c.id.component) - 0.138) * 3.0;
                    // One outlier that must not flatten the rest.
                    let v = if (c.id.layer, c.id.component) == (2, Component::MlpDown) { 1.9 } else { v };
                    Score::from_value(v).with_interval(v - 0.01, v + 0.01)
                })
                .collect(),
        ),
    ];
    Map { provenance: provenance(), grid, columns, ..Map::default() }
}

/// A model without gates, with a cell that failed and one that was not reached.
pub(crate) fn map_with_holes(layers: u32) -> Map {
    let mut map = map(layers);
    map.grid.cells.retain(|c| c.id.component != Component::MlpGate);
    map.grid.missing =
        vec![MissingColumn { component: Component::MlpGate, reason: "starcoder2 has an ungated MLP".into() }];
    for column in &mut map.columns {
        column.scores = map
            .grid
            .cells
            .iter()
            .map(|c| match (c.id.layer, c.id.component) {
                (1, Component::AttnK) => Score::missing(Status::Undefined, "all weights are zero"),
                (0, Component::AttnO) => Score::missing(Status::NotMeasured, "the scan was stopped"),
                _ => Score::from_value(figure_value(c.id.layer, layers, c.id.component)),
            })
            .collect();
    }
    map
}

pub(crate) fn provenance() -> Provenance {
    Provenance {
        model: "models/Phantom-28".into(),
        model_digest: "blake3:0f1e2d3c4b5a69788796a5b4c3d2e1f0".into(),
        family: "llama".into(),
        format: "safetensors".into(),
        seed: 7,
        version: "0.1.0".into(),
        command: "tomograph map models/Phantom-28".into(),
        started: "2026-01-02T03:04:05Z".into(),
        seconds: 1.5,
        ..Provenance::default()
    }
}

/// A mixture: the MLP of every layer has four experts, one of which has no score.
pub(crate) fn map_with_experts(layers: u32) -> Map {
    let mut map = map(layers);
    let experts = |c: &Cell| if c.id.component < Component::MlpUp { vec![None] } else { (0..4).map(Some).collect() };
    let cells = map.grid.cells.iter();
    map.grid.cells = cells
        .flat_map(|c| experts(c).into_iter().map(|expert| Cell { id: CellId { expert, ..c.id }, ..c.clone() }))
        .collect();
    for column in &mut map.columns {
        column.scores = map
            .grid
            .cells
            .iter()
            .map(|c| match c.id.expert {
                Some(3) => Score::missing(Status::NotMeasured, "the scan was stopped"),
                e => {
                    let value = figure_value(c.id.layer, layers, c.id.component);
                    Score::from_value(value + f64::from(e.unwrap_or(0)) * 0.001)
                }
            })
            .collect();
    }
    map
}

/// Texts that attack terminals, XML, HTML, scripts, CSV and readers.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>]]>--><!--\"'&amp;\u{1b}[2J\u{9b}31m\u{7}\u{0}\
     \u{202e}evil\u{2066}\u{2028}\u{2029}\u{200b}\u{feff}{{script}}`|\\\r\n=1+1";

/// A map in which every text is hostile, and one name is 10 kB long.
pub(crate) fn hostile() -> Map {
    let mut map = map_with_holes(6);
    map.provenance = Provenance {
        model: format!("{HOSTILE}{}", "n".repeat(10_000)),
        model_digest: HOSTILE.into(),
        family: HOSTILE.into(),
        format: HOSTILE.into(),
        version: HOSTILE.into(),
        command: HOSTILE.into(),
        started: HOSTILE.into(),
        ..map.provenance
    };
    map.grid.missing[0].reason = HOSTILE.into();
    for cell in &mut map.grid.cells {
        cell.tensor = format!("{HOSTILE}{}", "t".repeat(10_000));
        cell.dtype = HOSTILE.into();
    }
    for (at, column) in map.columns.iter_mut().enumerate() {
        let info = &mut column.info;
        info.id = format!("{HOSTILE}{at}").into();
        info.title = format!("{HOSTILE}{}", "m".repeat(10_000)).into();
        for text in [&mut info.summary, &mut info.unit, &mut info.family, &mut info.caveat] {
            *text = HOSTILE.into();
        }
        for score in &mut column.scores {
            if score.value().is_none() {
                *score = Score::missing(Status::Undefined, HOSTILE);
            }
        }
    }
    map
}
