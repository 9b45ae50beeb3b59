//! Bytes of files and tensors, exactly.

use std::collections::BTreeMap;

use tomo_map::{CellId, GgufHeader, Names};

use crate::{OtherDecision, Plan};

/// Magic, version, number of tensors, number of metadata entries.
const FIXED: u64 = 4 + 4 + 8 + 8;

/// A cell's part of a file.
pub(crate) struct Part<'a> {
    pub(crate) id: CellId,
    pub(crate) names: &'a Names,
    pub(crate) out_features: u64,
    pub(crate) in_features: u64,
    pub(crate) bytes: u64,
}

/// A tensor of GGUF.
#[derive(Default)]
struct Tensor {
    /// Slowest first.
    shape: Vec<u64>,
    bytes: u64,
}

impl Plan {
    /// Bytes of the GGUF file that the decisions make, header and padding counted; nothing where the model is no GGUF file or a tensor
    /// has no name. What [`Totals::file`](crate::Totals::file) was when the plan was made; for who changes decisions.
    pub fn file_bytes(&self) -> Option<u64> {
        let parts = self.cells.iter().map(|cell| Part {
            id: cell.id,
            names: &cell.names,
            out_features: cell.out_features,
            in_features: cell.in_features,
            bytes: cell.size,
        });
        file_bytes(self.gguf?, parts, &self.others)
    }
}

/// Bytes of a GGUF file of these cells and tensors: its header and what is described in it, padded, then every tensor, padded
/// (the last one too, as llama-quantize does). Nothing where a tensor has no name.
pub(crate) fn file_bytes<'a>(
    header: GgufHeader,
    cells: impl Iterator<Item = Part<'a>>,
    others: &[OtherDecision],
) -> Option<u64> {
    let mut tensors: BTreeMap<&str, Tensor> = BTreeMap::new();
    let mut experts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for cell in cells {
        let name = cell.names.gguf.as_deref()?;
        let tensor = tensors.entry(name).or_default();
        tensor.bytes = tensor.bytes.saturating_add(cell.bytes);
        // Experts are stacked along a third dimension; projections that are fused add rows.
        let rows = match cell.id.expert {
            Some(expert) => {
                let seen = experts.entry(name).or_default();
                if !seen.contains(&expert) {
                    seen.push(expert);
                }
                cell.out_features
            }
            None => tensor.shape.first().map_or(0, |rows| *rows) + cell.out_features,
        };
        tensor.shape = vec![rows, cell.in_features];
    }
    for (name, experts) in experts {
        if let Some(tensor) = tensors.get_mut(name) {
            tensor.shape.insert(0, experts.len() as u64);
        }
    }
    for other in others {
        let name = other.names.gguf.as_deref()?;
        tensors.insert(name, Tensor { shape: other.shape.clone(), bytes: other.bytes });
    }
    let described =
        |(name, tensor): (&&str, &Tensor)| 8 + name.len() as u64 + 4 + 8 * dimensions(&tensor.shape) + 4 + 8;
    let head = FIXED.checked_add(header.metadata_bytes)? + tensors.iter().map(described).sum::<u64>();
    let padded = |bytes: u64| bytes.checked_next_multiple_of(header.alignment.max(1));
    tensors.values().try_fold(padded(head)?, |sum, tensor| sum.checked_add(padded(tensor.bytes)?))
}

/// Dimensions that ggml counts: from the slowest one that is not 1.
fn dimensions(shape: &[u64]) -> u64 {
    shape.iter().skip_while(|dim| **dim == 1).count().max(1) as u64
}

/// Bytes of a matrix as a checkpoint stores it; nothing of types that need a scale stored elsewhere.
pub(crate) fn bytes_of_dtype(dtype: &str, rows: u64, columns: u64) -> Option<u64> {
    let weights = rows.checked_mul(columns)?;
    match dtype.to_ascii_uppercase().as_str() {
        "F64" => weights.checked_mul(8),
        "F32" => weights.checked_mul(4),
        "F16" | "BF16" => weights.checked_mul(2),
        "F8_E4M3" | "F8_E5M2" => Some(weights),
        other => {
            let row = tomo_blocks::find(other)?.row_bytes(usize::try_from(columns).ok()?).ok()?;
            rows.checked_mul(row as u64)
        }
    }
}
