//! Two stored cells side by side, piece by piece: no matrix, no page of the map.

use std::ops::Range;

use tomo_checkpoint::{DType, Error, Source, TensorInfo};
use tomo_model::ModelError;

use super::{Cast, PairSums, StoredCell};

/// Entries of a piece. Both sides of it, stored and decoded, stay in the second-level cache of one core.
const PIECE: u64 = 1 << 16;

/// A worker's buffers for one piece.
#[derive(Default)]
pub(crate) struct PieceBuffers {
    base: Side,
    tuned: Side,
}

#[derive(Default)]
struct Side {
    bytes: Vec<u8>,
    values: Vec<f32>,
}

/// Sums over the pairs of two cells; `None` where the files hold their entries in different orders, or not as bytes.
///
/// # Errors
/// When a tensor cannot be read.
pub(crate) fn sums_of_stored(
    base: StoredCell<'_>,
    tuned: StoredCell<'_>,
    cast: Option<Cast>,
    buffers: &mut PieceBuffers,
) -> Result<Option<PairSums>, ModelError> {
    let (runs0, runs1) = (base.model.runs(base.index), tuned.model.runs(tuned.index));
    let (Some(tensor0), Some(tensor1)) = (tensor(base), tensor(tuned)) else { return Ok(None) };
    if runs0.order != runs1.order {
        return Ok(None);
    }
    let (source0, source1) = (base.model.source(), tuned.model.source());
    let is_bf16 = [tensor0, tensor1].iter().all(|t| t.dtype == DType::BF16) && cast != Some(Cast::F16);
    let mut sums = PairSums::default();
    for (range0, range1) in pieces(&runs0.ranges, &runs1.ranges) {
        let PieceBuffers { base, tuned } = buffers;
        if !(base.read(source0, tensor0, range0)? && tuned.read(source1, tensor1, range1)?) {
            return Ok(None);
        }
        if is_bf16 {
            sums.add_bf16(&base.bytes, &tuned.bytes);
            continue;
        }
        base.decode(tensor0, cast)?;
        tuned.decode(tensor1, cast)?;
        sums.add(&base.values, &tuned.values);
    }
    Ok(Some(sums))
}

fn tensor(cell: StoredCell<'_>) -> Option<&TensorInfo> {
    cell.model.source().tensor(&cell.model.cells()[cell.index].tensor)
}

impl Side {
    fn read(&mut self, source: &dyn Source, tensor: &TensorInfo, range: Range<u64>) -> Result<bool, Error> {
        source.read(&tensor.name, range, &mut self.bytes)
    }

    fn decode(&mut self, tensor: &TensorInfo, cast: Option<Cast>) -> Result<(), Error> {
        let count = self.bytes.len() / tensor.dtype.block_bytes() * tensor.dtype.block_elements();
        self.values.resize(count, 0.0);
        tensor.dtype.decode(&self.bytes, &mut self.values)?;
        if let Some(cast) = cast {
            cast.apply(&mut self.values);
        }
        Ok(())
    }
}

/// Two lists of ranges of one total length, cut into pieces that are as long on both sides.
fn pieces(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<(Range<u64>, Range<u64>)> {
    let mut pieces = Vec::new();
    let (mut rest_a, mut rest_b) = (a.iter().cloned(), b.iter().cloned());
    let (mut here_a, mut here_b) = (0..0, 0..0);
    loop {
        if here_a.is_empty() {
            let Some(next) = rest_a.next() else { break };
            here_a = next;
        }
        if here_b.is_empty() {
            let Some(next) = rest_b.next() else { break };
            here_b = next;
        }
        let length = (here_a.end - here_a.start).min(here_b.end - here_b.start).min(PIECE);
        pieces.push((here_a.start..here_a.start + length, here_b.start..here_b.start + length));
        here_a.start += length;
        here_b.start += length;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn pieces_are_as_long_on_both_sides_and_miss_nothing() {
        // Runs of 3 and 5 against one of 8, which starts elsewhere.
        let found = pieces(&[10..13, 20..25], from_ref(&(100..108)));
        assert_eq!(found, [(10..13, 100..103), (20..25, 103..108)]);
        let long = 2 * PIECE + 7;
        let found = pieces(from_ref(&(0..long)), from_ref(&(1..long + 1)));
        assert_eq!(found.len(), 3);
        assert_eq!(found[2], (2 * PIECE..long, 2 * PIECE + 1..long + 1));
    }
}
