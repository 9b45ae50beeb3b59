use super::DifferenceError;
use crate::{Cell, Component, Grid, Map, MissingColumn};

/// Cells of both maps.
pub(super) struct Shared {
    /// The cells, as the second map describes them.
    pub(super) grid: Grid,
    /// Where each is in the first map and in the second.
    pub(super) at: Vec<(usize, usize)>,
    /// What is in one map only, in words.
    pub(super) left_out: Vec<String>,
}

/// The cells that both maps have; all of them, unless `some` will do.
pub(super) fn shared(first: &Map, second: &Map, some: bool) -> Result<Shared, DifferenceError> {
    let (a, b) = (&first.grid, &second.grid);
    if !some {
        same(a, b)?;
    }
    let mut at = Vec::new();
    let mut reshaped = 0_usize;
    for (from, cell) in a.cells.iter().enumerate() {
        let Ok(to) = b.cells.binary_search_by_key(&cell.id, |c| c.id) else { continue };
        reshaped += usize::from(b.cells.get(to).is_some_and(|c| shape(c) != shape(cell)));
        at.push((from, to));
    }
    if at.is_empty() {
        return Err(DifferenceError::NoSharedCell);
    }
    let cells: Vec<Cell> =
        at.iter().filter_map(|(from, to)| Some(merged(a.cells.get(*from)?, b.cells.get(*to)?))).collect();
    let told = [
        (a.cells.len() - at.len(), "in the first map only"),
        (b.cells.len() - at.len(), "in the second map only"),
        (reshaped, "of another shape in the second map; they are compared all the same"),
    ];
    let left_out = told.into_iter().filter(|(n, _)| *n > 0);
    let left_out = left_out.map(|(n, what)| format!("{n} {} {what}", if n == 1 { "cell is" } else { "cells are" }));
    let layers = a.layers.min(b.layers);
    Ok(Shared { grid: Grid { layers, missing: missing(a, b, &cells), cells }, at, left_out: left_out.collect() })
}

fn shape(cell: &Cell) -> (u64, u64) {
    (cell.out_features, cell.in_features)
}

/// The cell of the second map, with both ways in which it is stored.
fn merged(a: &Cell, b: &Cell) -> Cell {
    let dtype = if a.dtype == b.dtype { b.dtype.clone() } else { format!("{} and {}", a.dtype, b.dtype) };
    Cell { dtype, ..b.clone() }
}

/// Columns that a family has not, or that only one of the maps has.
fn missing(a: &Grid, b: &Grid, cells: &[Cell]) -> Vec<MissingColumn> {
    let has = |cells: &[Cell], c: Component| cells.iter().any(|cell| cell.id.component == c);
    let reason = |c: Component| {
        let known = a.missing.iter().chain(&b.missing).find(|m| m.component == c).map(|m| m.reason.clone());
        let one = has(&a.cells, c) != has(&b.cells, c);
        known.or_else(|| one.then(|| "only one of the maps has it".to_owned()))
    };
    let gone = Component::ALL.into_iter().filter(|c| !has(cells, *c));
    gone.filter_map(|component| Some(MissingColumn { component, reason: reason(component)? })).collect()
}

/// Whether the grids agree cell by cell; the first disagreement if not.
fn same(a: &Grid, b: &Grid) -> Result<(), DifferenceError> {
    let other = |expected: String, found: String| Err(DifferenceError::OtherGrid { expected, found });
    if a.layers != b.layers {
        return other(format!("{} layers", a.layers), b.layers.to_string());
    }
    let described = |cell: Option<&Cell>| {
        cell.map_or("no more cells".to_owned(), |c| format!("{} of {} x {}", c.id, c.out_features, c.in_features))
    };
    for at in 0..a.cells.len().max(b.cells.len()) {
        let (x, y) = (a.cells.get(at), b.cells.get(at));
        if x.map(|c| (c.id, shape(c))) != y.map(|c| (c.id, shape(c))) {
            return other(described(x), described(y));
        }
    }
    Ok(())
}
