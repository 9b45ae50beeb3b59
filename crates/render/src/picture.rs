use std::path::Path;

use tomo_map::{Cell, CellId, Component, Map, Provenance, View};

use crate::escape;

/// What a picture is made of: one metric of a map under one normalisation, and the map for what is known of its cells.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Where cells and provenance are read.
    pub map: &'a Map,
    /// The numbers, from the same map.
    pub view: &'a View,
}

impl<'a> Picture<'a> {
    /// The weight matrices at a place: none, one, or the experts of a mixture.
    pub(crate) fn matrices(&self, layer: u32, component: Component) -> &'a [Cell] {
        matrices(self.map, layer, component)
    }

    pub(crate) fn provenance(&self) -> &'a Provenance {
        &self.map.provenance
    }
}

/// The weight matrices at a place of `map`.
pub(crate) fn matrices(map: &Map, layer: u32, component: Component) -> &[Cell] {
    let cells = &map.grid.cells;
    let start = cells.partition_point(|c| c.id < CellId { layer, component, expert: None });
    let rest = cells.get(start..).unwrap_or_default();
    let here = rest.iter().take_while(|c| (c.id.layer, c.id.component) == (layer, component)).count();
    rest.get(..here).unwrap_or_default()
}

/// The model's name as a picture shows it: the last part of its path, cleaned and cut.
pub(crate) fn model_name(provenance: &Provenance) -> String {
    let model = provenance.model.trim_end_matches('/');
    let name = Path::new(model).file_name().map_or(model.into(), |n| n.to_string_lossy());
    escape::plain(&name, 80)
}
