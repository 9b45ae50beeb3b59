use std::path::Path;

use tomo_map::{CellId, Column, Component, Map, MetricInfo, Provenance};

use crate::{RenderError, escape};

/// What the numbers of a picture are, after normalisation, in words for its reader.
#[derive(Clone, PartialEq, Debug)]
pub struct Normalisation {
    /// Identifier, e.g. `raw`, `layer-share`.
    pub id: String,
    /// One phrase: "raw values", "share of the layer's sum".
    pub words: String,
    /// Unit of the shown numbers.
    pub unit: String,
    /// Natural middle of the shown numbers, if they have one (0 for z scores, 1/7 for shares of a layer).
    pub middle: Option<f64>,
    /// Whether shown numbers of different columns may be compared.
    pub across_columns: bool,
}

/// One cell of a picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The number to show, or why there is none.
    pub value: Result<f64, String>,
    /// 95 % interval of the number, if one was measured.
    pub interval: Option<(f64, f64)>,
    /// How many matrices the number stands for: 1, or the experts that were averaged; 0 when the cell is absent.
    pub matrices: u32,
    /// Output and input features; `None` when the cell is absent.
    pub shape: Option<(u64, u64)>,
    /// How the checkpoint stores it; empty when the cell is absent.
    pub dtype: String,
}

/// One metric of a map under one normalisation: layers x 7 numbers and what their reader must know.
///
/// This is all a picture is made of; the map behind it is not consulted again.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The metric.
    pub metric: MetricInfo,
    /// What was done to its scores.
    pub normalisation: Normalisation,
    /// Number of layers L.
    pub layers: u32,
    /// `L x 7` entries, layer by layer from layer 0, components in [`Component::ALL`] order.
    pub entries: Vec<Entry>,
    /// Where the map came from.
    pub provenance: Provenance,
    /// Further sentences for the foot of the picture.
    pub notes: Vec<String>,
}

impl View {
    /// The raw scores of `metric`; experts of a cell are averaged.
    ///
    /// # Errors
    /// When the map has no such metric, or its tables do not fit its grid.
    pub fn from_map(map: &Map, metric: &str) -> Result<Self, RenderError> {
        let column = map.column(metric).ok_or_else(|| RenderError::unknown_metric(map, metric))?;
        check_grid(map, column)?;
        let entries = (0..map.grid.layers)
            .flat_map(|layer| Component::ALL.map(|component| entry(map, column, layer, component)))
            .collect();
        Ok(Self {
            metric: column.info.clone(),
            normalisation: Normalisation {
                id: "raw".into(),
                words: "raw values, as measured".into(),
                unit: column.info.unit.to_string(),
                middle: column.info.middle,
                across_columns: column.info.scope == tomo_map::Scope::Map,
            },
            layers: map.grid.layers,
            entries,
            provenance: map.provenance.clone(),
            notes: Vec::new(),
        })
    }

    /// The entry of one cell.
    pub fn entry(&self, layer: u32, component: Component) -> Option<&Entry> {
        self.entries.get(layer as usize * Component::ALL.len() + component.index())
    }

    /// The numbers that are there, in the order of the entries.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.entries.iter().filter_map(|e| e.value.as_ref().ok().copied())
    }

    /// The model's name as a picture shows it: the last part of its path, cleaned and cut.
    pub fn model_name(&self) -> String {
        let model = self.provenance.model.trim_end_matches('/');
        let name = Path::new(model).file_name().map_or(model.into(), |n| n.to_string_lossy());
        escape::plain(&name, 80)
    }
}

fn check_grid(map: &Map, column: &Column) -> Result<(), RenderError> {
    let (cells, scores) = (map.grid.cells.len(), column.scores.len());
    if cells != scores {
        return Err(RenderError::Ragged { metric: escape::plain(&column.info.id, 80), cells, scores });
    }
    let deepest = map.grid.cells.last().map_or(0, |c| c.id.layer.saturating_add(1));
    // A picture has a row per layer, so the count is not taken on trust: there must be a cell for each.
    if map.grid.layers == 0 || map.grid.layers != deepest || map.grid.layers as usize > cells {
        return Err(RenderError::Layers { stated: map.grid.layers, found: deepest });
    }
    Ok(())
}

fn entry(map: &Map, column: &Column, layer: u32, component: Component) -> Entry {
    let first = CellId { layer, component, expert: None };
    let start = map.grid.cells.partition_point(|c| c.id < first);
    let here = map.grid.cells.get(start..).unwrap_or_default();
    let here = here.iter().take_while(|c| c.id.layer == layer && c.id.component == component).count();
    let range = start..start + here;
    let (Some(cells), Some(scores)) = (map.grid.cells.get(range.clone()), column.scores.get(range)) else {
        return absent(map, component);
    };
    let Some(cell) = cells.first() else { return absent(map, component) };
    let values: Vec<f64> = scores.iter().filter_map(tomo_map::Score::value).collect();
    let value = if values.is_empty() {
        Err(escape::plain(scores.iter().find_map(|s| s.reason()).unwrap_or("no value"), 200))
    } else {
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    };
    Entry {
        interval: scores.first().filter(|_| scores.len() == 1).and_then(tomo_map::Score::interval),
        matrices: u32::try_from(if values.is_empty() { scores.len() } else { values.len() }).unwrap_or(u32::MAX),
        shape: Some((cell.out_features, cell.in_features)),
        dtype: escape::plain(&cell.dtype, 40),
        value,
    }
}

fn absent(map: &Map, component: Component) -> Entry {
    let reason = map.grid.missing.iter().find(|m| m.component == component);
    let reason = reason.map_or_else(|| "the model has no such matrix here".into(), |m| escape::plain(&m.reason, 200));
    Entry { value: Err(reason), interval: None, matrices: 0, shape: None, dtype: String::new() }
}
