//! Tensors from one type to another, in pieces, by all threads.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rayon::prelude::*;
use tomo_checkpoint::Source;
use tomo_metrics::Imatrix;

use super::targets::{Target, block_of};

/// Weights of a piece, where rows are not longer: few enough to stay in cache, a multiple of every block.
const PIECE_WEIGHTS: u64 = 1 << 15;

/// Pieces that each thread gets before anything is written, so that none waits long for the last one.
const PIECES_PER_THREAD: usize = 32;

/// Who watches a file being written.
pub trait WriteProgress: Sync {
    /// So many bytes of tensors will be read.
    fn start(&self, bytes: u64);
    /// So many more were, up to somewhere in this tensor.
    fn reached(&self, tensor: &str, bytes: u64);
    /// Whether to stop.
    fn is_cancelled(&self) -> bool;
}

/// A part of a tensor: whole rows of one that is encoded, whole blocks of one that is copied.
struct Piece<'t> {
    target: &'t Target,
    elements: Range<u64>,
    /// Of every column of every matrix.
    importances: Option<Arc<Vec<f32>>>,
}

/// Buffers that a thread uses again and again.
#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    weights: Vec<f32>,
}

/// Hands the bytes of all `targets` to `out`, in order. `false` when it was cancelled.
pub(super) fn all(
    source: &dyn Source,
    targets: &[Target],
    imatrix: Option<&Imatrix>,
    progress: &dyn WriteProgress,
    mut out: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let most = PIECES_PER_THREAD * rayon::current_num_threads();
    progress.start(targets.iter().map(|target| target.info.bytes).sum());
    let mut batch = Vec::with_capacity(most);
    let mut flush = |batch: &mut Vec<Piece<'_>>| -> anyhow::Result<bool> {
        if progress.is_cancelled() {
            return Ok(false);
        }
        let encoded: Vec<Vec<u8>> = batch
            .par_iter()
            .map_init(Scratch::default, |scratch, piece| encode(source, piece, scratch))
            .collect::<anyhow::Result<_>>()?;
        for (bytes, piece) in encoded.iter().zip(batch.iter()) {
            out(bytes)?;
            progress.reached(&piece.target.info.name, piece.bytes());
        }
        batch.clear();
        Ok(true)
    };
    for target in targets {
        let importances = importances(target, imatrix)?.map(Arc::new);
        for elements in pieces(target) {
            batch.push(Piece { target, elements, importances: importances.clone() });
            if batch.len() == most && !flush(&mut batch)? {
                return Ok(false);
            }
        }
    }
    flush(&mut batch)
}

/// The importances of a tensor that is encoded; `None` where the imatrix says nothing of it.
///
/// # Errors
/// An entry of another size. That of the embedding, whose inputs are token ids, is passed over, as llama-quantize does.
pub(super) fn importances(target: &Target, imatrix: Option<&Imatrix>) -> anyhow::Result<Option<Vec<f32>>> {
    let name = target.info.name.as_str();
    let Some(entry) = imatrix.filter(|_| !target.is_copied()).and_then(|imatrix| imatrix.entries.get(name)) else {
        return Ok(None);
    };
    let [matrices, columns] = [target.matrices(), target.columns()].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    match entry.importances(name, matrices, columns) {
        Ok(importances) => Ok(Some(importances)),
        Err(_) if matches!(name, "token_embd.weight" | "per_layer_token_embd.weight") => Ok(None),
        Err(misfit) => Err(misfit.into()),
    }
}

/// Cuts a tensor into pieces.
fn pieces(target: &Target) -> impl Iterator<Item = Range<u64>> + use<> {
    let (numel, columns) = (target.info.numel(), target.columns().max(1));
    let length = if target.is_copied() { PIECE_WEIGHTS } else { (PIECE_WEIGHTS / columns).max(1) * columns };
    (0..numel.div_ceil(length)).map(move |at| at * length..((at + 1) * length).min(numel))
}

impl Piece<'_> {
    /// Bytes that it takes in the checkpoint.
    fn bytes(&self) -> u64 {
        let dtype = self.target.info.dtype;
        (self.elements.end - self.elements.start) / dtype.block_elements() as u64 * dtype.block_bytes() as u64
    }
}

fn encode(source: &dyn Source, piece: &Piece<'_>, scratch: &mut Scratch) -> anyhow::Result<Vec<u8>> {
    let Piece { target, elements, importances } = piece;
    let info = &target.info;
    let Scratch { bytes, weights } = scratch;
    let has_bytes = source.read(&info.name, elements.clone(), bytes)?;
    ensure!(has_bytes, "the checkpoint holds no stored bytes\n  tensor: {}", info.name);
    if target.is_copied() {
        return Ok(bytes.clone());
    }
    weights.resize(usize::try_from(elements.end - elements.start)?, 0.0);
    info.dtype.decode(bytes, weights).map_err(|error| error.in_tensor(&info.name))?;
    let block = block_of(target.dtype).with_context(|| format!("{} cannot be encoded", target.dtype))?;
    let columns = usize::try_from(target.columns())?;
    let row_bytes = block.row_bytes(columns)?;
    let mut out = vec![0; weights.len() / columns * row_bytes];
    let first = elements.start / target.columns();
    let rows_per_matrix = (info.numel() / target.columns() / target.matrices().max(1)).max(1);
    for ((row, out), number) in weights.chunks_exact(columns).zip(out.chunks_exact_mut(row_bytes)).zip(first..) {
        let matrix = usize::try_from(number / rows_per_matrix)?;
        let importances = importances.as_ref().map(|all| &all[matrix * columns..][..columns]);
        block.encode_row(row, importances, out).map_err(|error| {
            anyhow::anyhow!(
                "a tensor cannot be stored as planned\n  tensor: {}\n  row: {number}\n  found: {error}",
                info.name
            )
        })?;
    }
    Ok(out)
}
