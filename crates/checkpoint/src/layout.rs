//! What a parser hands over: where each tensor lies, checked against the file.

use crate::{DType, Error, ErrorKind, TensorInfo};

/// Tensors a checkpoint may have, over all its files. The largest mixtures published have about 150 000; the bound keeps
/// a hostile header from taking more memory than its own size.
pub(crate) const MAX_TENSORS: usize = 1 << 18;

/// Bytes of header (names, shapes, metadata) that are read at all.
pub(crate) const MAX_HEADER_BYTES: u64 = 32 << 20;

/// Dimensions a tensor may have.
pub(crate) const MAX_RANK: usize = 8;

/// Longest name of a tensor, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 4096;

/// A dimension no tensor reaches; without the bound, `[2^60, 0]` would have rows to loop over and no bytes.
const MAX_DIM: u64 = 1 << 40;

/// A tensor and the byte of its file where it starts.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) info: TensorInfo,
    pub(crate) offset: u64,
}

/// Characters that drive a terminal, reorder text, hide, or open a tag in HTML. Printing code escapes them as well; names
/// that have them are refused here because no tool writes such names.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '<' | '>' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Checks name, shape and type of one tensor and computes its bytes.
pub(crate) fn describe(name: String, dtype: DType, shape: Vec<u64>) -> Result<TensorInfo, Error> {
    let shown = || format!("{dtype} {shape:?}");
    if name.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, "a tensor name is empty")
            .expected("a name")
            .found(shown())
            .hint("the file is damaged or was not made by a known tool"));
    }
    if name.contains(is_hostile) {
        return Err(Error::new(ErrorKind::Malformed, "a name has characters that tensor names do not have")
            .in_tensor(&name)
            .expected("no control characters, no invisible characters, no < and >")
            .found("at least one of them")
            .hint("the file was made to mislead whoever prints its names; do not trust it"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::new(ErrorKind::Malformed, "tensor name is too long")
            .in_tensor(&name)
            .expected(format!("at most {MAX_NAME_BYTES} bytes"))
            .found(format!("{} bytes", name.len()))
            .hint("the file is damaged or was not made by a known tool"));
    }
    if shape.len() > MAX_RANK || shape.iter().any(|&dim| dim > MAX_DIM) {
        return Err(Error::new(ErrorKind::Malformed, "tensor shape is out of bounds")
            .in_tensor(&name)
            .expected(format!("at most {MAX_RANK} dimensions of at most {MAX_DIM} each"))
            .found(shown())
            .hint("the file is damaged or was not made by a known tool"));
    }
    let Some(bytes) = dtype.storage_bytes(&shape) else {
        return Err(Error::new(ErrorKind::Malformed, "tensor shape does not fit its type")
            .in_tensor(&name)
            .expected(format!("whole blocks of {} elements, fewer than 2^64 bytes", dtype.block_elements()))
            .found(shown())
            .hint("the file is damaged or was not made by a known tool"));
    };
    Ok(TensorInfo { name, dtype, shape, bytes })
}

/// Sorts by name and refuses a name that occurs twice.
pub(crate) fn sort_by_unique_name(tensors: &mut [Placed]) -> Result<(), Error> {
    tensors.sort_unstable_by(|a, b| a.info.name.cmp(&b.info.name));
    let twice = tensors.iter().zip(tensors.iter().skip(1)).find(|(a, b)| a.info.name == b.info.name);
    twice.map_or(Ok(()), |(a, b)| {
        Err(Error::new(ErrorKind::Malformed, "two tensors have the same name")
            .in_tensor(&a.info.name)
            .at_byte(a.offset.max(b.offset))
            .expected("every name once")
            .found("the name twice, at different places")
            .hint("which of the two is meant cannot be known; write the checkpoint again"))
    })
}

/// Refuses tensors that reach past `end`, overlap, or leave gaps.
///
/// Data starts at byte `start` of the file, and each tensor where the last one ended, rounded up to `alignment` (a power of
/// two, counted from `start`). Returns the byte after the last tensor.
pub(crate) fn check_contiguous(tensors: &[Placed], start: u64, end: u64, alignment: u64) -> Result<u64, Error> {
    let mut order: Vec<&Placed> = tensors.iter().collect();
    order.sort_unstable_by_key(|t| (t.offset, t.info.bytes));
    let mut next = start;
    let mut before: Option<&Placed> = None;
    for tensor in order {
        let name = &tensor.info.name;
        let after = tensor.offset.checked_add(tensor.info.bytes).filter(|&after| after <= end);
        let Some(after) = after else {
            return Err(truncated(tensor, end));
        };
        let place = align_up(next - start, alignment).and_then(|n| n.checked_add(start));
        if place != Some(tensor.offset) {
            let overlaps = tensor.offset < next;
            let what = if overlaps { "two tensors overlap" } else { "there are bytes that belong to no tensor" };
            let neighbour = before.map_or("the start of the data".into(), |t| format!("the end of {:?}", t.info.name));
            return Err(Error::new(ErrorKind::Malformed, what)
                .in_tensor(name)
                .at_byte(tensor.offset)
                .expected(format!("data at byte {}, after {neighbour}", place.unwrap_or(u64::MAX)))
                .found(format!("data at byte {}", tensor.offset))
                .hint("the file is damaged or was made to mislead; do not trust it"));
        }
        next = after;
        before = Some(tensor);
    }
    Ok(next)
}

pub(crate) fn truncated(tensor: &Placed, end: u64) -> Error {
    Error::new(ErrorKind::Malformed, "tensor data runs past the end of the file")
        .in_tensor(&tensor.info.name)
        .at_byte(tensor.offset)
        .expected(format!("{} bytes of data", tensor.info.bytes))
        .found(format!("{} bytes before the file ends", end.saturating_sub(tensor.offset)))
        .hint("the download or copy is probably incomplete; fetch the file again")
}

/// The smallest multiple of `alignment`, a power of two, that is not below `n`.
pub(crate) fn align_up(n: u64, alignment: u64) -> Option<u64> {
    n.checked_next_multiple_of(alignment)
}
