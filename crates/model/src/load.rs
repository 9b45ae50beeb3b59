//! Decoding one cell to a row-major matrix.

use tomo_checkpoint::{Source, TensorInfo};

use crate::cell::CellSource;
use crate::error::{ModelError, quoted};

/// Decodes `cell` into `out`, row-major `out_features x in_features`.
pub(crate) fn load(
    source: &dyn Source,
    cell: &CellSource,
    tensor: &TensorInfo,
    out: &mut [f32],
) -> Result<(), ModelError> {
    if cell.storage.transposed {
        return load_transposed(source, cell, tensor, out);
    }
    match cell.storage.rope_pairs {
        Some(head_dim) => load_rope_pairs(source, cell, head_dim, out),
        None => load_rows(source, cell, out),
    }
}

/// Length of a run in elements. Cannot overflow: the cell lies within a tensor whose size was checked.
fn run_elements(cell: &CellSource) -> usize {
    usize::try_from(cell.storage.length * cell.in_features).unwrap_or(usize::MAX)
}

/// Rows as they are: every run is decoded straight into its place.
fn load_rows(source: &dyn Source, cell: &CellSource, out: &mut [f32]) -> Result<(), ModelError> {
    let (storage, columns) = (cell.storage, cell.in_features);
    let mut row = storage.start;
    for run in out.chunks_exact_mut(run_elements(cell)) {
        source.decode(&cell.tensor, row * columns..(row + storage.length) * columns, run)?;
        row += storage.stride;
    }
    Ok(())
}

/// Head by head through a scratch of one head: stored row 2 i + j of a head is row i + j * C / 2.
fn load_rope_pairs(source: &dyn Source, cell: &CellSource, head_dim: u64, out: &mut [f32]) -> Result<(), ModelError> {
    let columns = to_usize(cell, cell.in_features)?;
    let rows = to_usize(cell, head_dim)?;
    let mut stored = vec![0.0; rows * columns];
    let mut start = cell.storage.start * cell.in_features;
    for head in out.chunks_exact_mut(rows * columns) {
        let end = start + head_dim * cell.in_features;
        source.decode(&cell.tensor, start..end, &mut stored)?;
        start = end;
        for (index, row) in stored.chunks_exact(columns).enumerate() {
            let place = place_of_pair(index, rows);
            head[place * columns..(place + 1) * columns].copy_from_slice(row);
        }
    }
    Ok(())
}

/// Input features that are decoded together before they are written out as columns: 64 floats are four cache lines of
/// each output row, and a strip of a few thousand outputs still fits a second-level cache.
const STRIP: usize = 64;

/// The tensor is `[in, total]` and the cell some of its columns.
///
/// Whole rows are decoded, also when the cell has a third of their columns: one long call costs less than many short
/// ones, and a quantized block could not be entered in its middle anyway.
fn load_transposed(
    source: &dyn Source,
    cell: &CellSource,
    tensor: &TensorInfo,
    out: &mut [f32],
) -> Result<(), ModelError> {
    let storage = cell.storage;
    let total = tensor.shape.last().copied().unwrap_or(0);
    let (wide, inputs) = (to_usize(cell, total)?, to_usize(cell, cell.in_features)?);
    let (start, length) = (to_usize(cell, storage.start)?, to_usize(cell, storage.length)?);
    let stride = to_usize(cell, storage.stride)?;
    let mut strip = vec![0.0; wide * inputs.min(STRIP)];
    for input in (0..inputs).step_by(STRIP) {
        let rows = &mut strip[..wide * STRIP.min(inputs - input)];
        let first = input as u64 * total;
        source.decode(&cell.tensor, first..first + rows.len() as u64, rows)?;
        for (run, out) in out.chunks_exact_mut(length * inputs).enumerate() {
            transpose_into(rows, wide, start + run * stride, &mut out[input..], inputs, length);
        }
    }
    Ok(())
}

/// Columns of a strip that are turned together: a cache line of each row.
const TILE: usize = 16;

/// Writes columns `skip..skip + length` of `strip` (rows of `wide`) as rows of `out`, which are `stride` apart.
///
/// Columns of a strip are often a multiple of 1 kB apart and would fight for the same cache sets, so a tile goes through
/// a buffer of its own: whole lines are read, whole runs are written.
fn transpose_into(strip: &[f32], wide: usize, skip: usize, out: &mut [f32], stride: usize, length: usize) {
    let mut tile = [[0.0_f32; STRIP]; TILE];
    let height = strip.len() / wide;
    for column in (0..length).step_by(TILE) {
        let columns = TILE.min(length - column);
        for (index, row) in strip.chunks_exact(wide).enumerate() {
            let line = &row[skip + column..skip + column + columns];
            for (turned, value) in tile.iter_mut().zip(line) {
                turned[index] = *value;
            }
        }
        for (turned, at) in tile.iter().zip(column..column + columns) {
            out[at * stride..at * stride + height].copy_from_slice(&turned[..height]);
        }
    }
}

/// Decodes the bias that goes with `cell`, if its checkpoint has one: `<stem>.bias` beside `<stem>.weight`, rows where the
/// weight's rows are.
pub(crate) fn load_bias(source: &dyn Source, cell: &CellSource) -> Result<Option<Vec<f32>>, ModelError> {
    let name = cell.tensor.strip_suffix("weight").map(|stem| format!("{stem}bias"));
    let Some(tensor) = name.and_then(|name| source.tensor(&name)) else { return Ok(None) };
    let storage = cell.storage;
    let end =
        (storage.count - 1).checked_mul(storage.stride).and_then(|n| n.checked_add(storage.start + storage.length));
    if tensor.shape.len() != 1 || end.is_none_or(|end| end > tensor.numel()) {
        return Err(ModelError::Shape {
            what: format!("the bias of {}", cell.id),
            tensor: quoted(&tensor.name),
            expected: "one entry per row of the weight".to_owned(),
            found: format!("{:?}", tensor.shape),
        });
    }
    let mut all = vec![0.0; to_usize(cell, tensor.numel())?];
    source.decode(&tensor.name, 0..tensor.numel(), &mut all)?;
    let row = |n: u64| to_usize(cell, n);
    let mut bias = Vec::with_capacity(row(cell.out_features)?);
    for run in 0..storage.count {
        let start = row(storage.start + run * storage.stride)?;
        bias.extend_from_slice(&all[start..start + row(storage.length)?]);
    }
    if let Some(head_dim) = storage.rope_pairs {
        let width = row(head_dim)?;
        for head in bias.chunks_exact_mut(width) {
            let stored = head.to_vec();
            for (index, value) in stored.into_iter().enumerate() {
                head[place_of_pair(index, width)] = value;
            }
        }
    }
    Ok(Some(bias))
}

/// Where row `index` of a head in pair order belongs: stored 2 i + j is i + j * C / 2.
fn place_of_pair(index: usize, head_dim: usize) -> usize {
    index / 2 + index % 2 * (head_dim / 2)
}

/// Index of the first entry that is NaN or infinite.
pub fn first_not_finite(values: &[f32]) -> Option<usize> {
    /// All ones exactly in infinities and NaN.
    const EXPONENT: u32 = 0x7f80_0000;
    /// Entries swept without a branch, at the speed of memory.
    const RUN: usize = 4096;
    let is_off = |x: &f32| x.to_bits() & EXPONENT == EXPONENT;
    let (run, entries) =
        values.chunks(RUN).enumerate().find(|(_, run)| run.iter().fold(false, |off, x| off | is_off(x)))?;
    Some(run * RUN + entries.iter().position(is_off)?)
}

pub(crate) fn to_usize(cell: &CellSource, n: u64) -> Result<usize, ModelError> {
    usize::try_from(n).map_err(|_| ModelError::Unsupported {
        tensor: quoted(&cell.tensor),
        reason: format!("{} does not fit in this machine's memory", cell.id),
    })
}
