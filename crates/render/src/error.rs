use tomo_map::Map;

use crate::escape;

/// Why something could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The map has no column of that name.
    #[error("the map has no metric {metric:?}: it has {known}")]
    UnknownMetric {
        /// What was asked for.
        metric: String,
        /// What there is.
        known: String,
    },
    /// A column with more or fewer scores than the grid has cells.
    #[error("metric {metric:?} has {scores} scores for {cells} cells: the map is damaged")]
    Ragged {
        /// The column.
        metric: String,
        /// Cells of the grid.
        cells: usize,
        /// Scores of the column.
        scores: usize,
    },
    /// A grid whose number of layers is not that of its cells.
    #[error("the map says it has {stated} layers, its cells reach {found}: the map is damaged or empty")]
    Layers {
        /// `grid.layers`.
        stated: u32,
        /// Layers that the cells span.
        found: u32,
    },
    /// A picture larger than anybody can open.
    #[error("a picture of {layers} layers is too large: use ansi, csv or json")]
    TooLarge {
        /// Rows asked for.
        layers: u32,
    },
    /// A library refused what we gave it.
    #[error("{what}: {why}")]
    Library {
        /// What we were doing.
        what: &'static str,
        /// What the library said.
        why: String,
    },
    /// No output is called that, or has that file extension.
    #[error("unknown format {asked:?}: expected one of {known}")]
    UnknownFormat {
        /// What was asked for.
        asked: String,
        /// The registry's ids.
        known: String,
    },
}

impl RenderError {
    pub(crate) fn unknown_metric(map: &Map, metric: &str) -> Self {
        let known: Vec<String> = map.columns.iter().map(|c| escape::plain(&c.info.id, 80)).collect();
        Self::UnknownMetric { metric: escape::plain(metric, 80), known: known.join(" ") }
    }

    pub(crate) fn library(what: &'static str, why: impl ToString) -> Self {
        Self::Library { what, why: why.to_string() }
    }
}
