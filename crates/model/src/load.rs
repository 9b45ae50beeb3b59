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
            let place = index / 2 + index % 2 * (rows / 2);
            head[place * columns..(place + 1) * columns].copy_from_slice(row);
        }
    }
    Ok(())
}

/// Input features that are decoded together before they are written out as columns: 64 floats are four cache lines of
/// each output row, and a strip of a few thousand outputs still fits a second-level cache.
const STRIP: u64 = 64;

/// The tensor is `[in, total]` and the cell some of its columns.
fn load_transposed(
    source: &dyn Source,
    cell: &CellSource,
    tensor: &TensorInfo,
    out: &mut [f32],
) -> Result<(), ModelError> {
    let total = tensor.shape.last().copied().unwrap_or(0);
    let (length, inputs) = (to_usize(cell, cell.storage.length)?, to_usize(cell, cell.in_features)?);
    // A quantized block cannot be entered in its middle: then whole rows are decoded and only the columns taken.
    let block = tensor.dtype.block_elements() as u64;
    let aligned = [total, cell.storage.start, cell.storage.stride, cell.storage.length].iter().all(|n| n % block == 0);
    for (run, out) in out.chunks_exact_mut(length * inputs).enumerate() {
        let first = cell.storage.start + run as u64 * cell.storage.stride;
        let (from, width, skip) = if aligned { (first, cell.storage.length, 0) } else { (0, total, first) };
        let (wide, skip) = (to_usize(cell, width)?, to_usize(cell, skip)?);
        let mut strip = vec![0.0; wide * to_usize(cell, STRIP.min(cell.in_features))?];
        let mut input = 0;
        while input < cell.in_features {
            let height = STRIP.min(cell.in_features - input);
            let rows = &mut strip[..wide * to_usize(cell, height)?];
            decode_strip(source, cell, total, input, from..from + width, rows)?;
            transpose_into(rows, wide, skip, &mut out[to_usize(cell, input)?..], inputs, length);
            input += height;
        }
    }
    Ok(())
}

/// Decodes columns `columns` of tensor rows from `row` on into `strip`, in one go when the rows are contiguous.
fn decode_strip(
    source: &dyn Source,
    cell: &CellSource,
    total: u64,
    row: u64,
    columns: std::ops::Range<u64>,
    strip: &mut [f32],
) -> Result<(), ModelError> {
    let wide = to_usize(cell, columns.end - columns.start)?;
    if columns == (0..total) {
        let start = row * total;
        source.decode(&cell.tensor, start..start + strip.len() as u64, strip)?;
        return Ok(());
    }
    for (index, line) in strip.chunks_exact_mut(wide).enumerate() {
        let start = (row + index as u64) * total;
        source.decode(&cell.tensor, start + columns.start..start + columns.end, line)?;
    }
    Ok(())
}

/// Writes columns `skip..skip + length` of `strip` (rows of `wide`) as rows of `out`, which are `stride` apart.
fn transpose_into(strip: &[f32], wide: usize, skip: usize, out: &mut [f32], stride: usize, length: usize) {
    let height = strip.len() / wide;
    for column in 0..length {
        let line = &mut out[column * stride..column * stride + height];
        for (value, row) in line.iter_mut().zip(strip.chunks_exact(wide)) {
            *value = row[skip + column];
        }
    }
}

pub(crate) fn to_usize(cell: &CellSource, n: u64) -> Result<usize, ModelError> {
    usize::try_from(n).map_err(|_| ModelError::Unsupported {
        tensor: quoted(&cell.tensor),
        reason: format!("{} does not fit in this machine's memory", cell.id),
    })
}
