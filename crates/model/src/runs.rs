//! Where the entries of a cell lie in its tensor: for readers that pass over two cells side by side and need no matrix.

use std::ops::Range;

use crate::cell::CellSource;
use crate::model::Model;

/// In which order a file holds the entries of a cell. Two cells of one shape and one order hold the same entries at the same
/// places of their [`Model::runs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryOrder {
    /// Row by row.
    Rows,
    /// Row by row, rows of each head of this width in pair order.
    RopePairs(u64),
    /// Column by column.
    Columns,
}

/// Runs of elements of one tensor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Runs {
    /// The order of the entries.
    pub order: EntryOrder,
    /// Elements of the tensor, in that order; together as many as the cell has.
    pub ranges: Vec<Range<u64>>,
}

impl Model {
    /// Where the entries of cell number `index` lie in its tensor.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn runs(&self, index: usize) -> Runs {
        let cell = &self.cells[index];
        let storage = cell.storage;
        if storage.transposed {
            let total = self.source.tensor(&cell.tensor).and_then(|t| t.shape.last().copied()).unwrap_or(0);
            return Runs { order: EntryOrder::Columns, ranges: columns(cell, total) };
        }
        let order = storage.rope_pairs.map_or(EntryOrder::Rows, EntryOrder::RopePairs);
        let width = cell.in_features;
        let run = |number: u64| {
            let start = storage.start + number * storage.stride;
            start * width..(start + storage.length) * width
        };
        Runs { order, ranges: joined((0..storage.count).map(run)) }
    }
}

/// The runs of a cell whose tensor is `[in, total]`: for every input the columns that are its outputs.
fn columns(cell: &CellSource, total: u64) -> Vec<Range<u64>> {
    let storage = cell.storage;
    let of_input = |input: u64| {
        (0..storage.count).map(move |number| {
            let start = input * total + storage.start + number * storage.stride;
            start..start + storage.length
        })
    };
    joined((0..cell.in_features).flat_map(of_input))
}

/// Neighbours made one.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}
