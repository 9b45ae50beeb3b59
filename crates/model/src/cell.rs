//! A cell and where its weights are.

use tomo_map::CellId;

/// Where in a tensor a cell's rows are: `count` runs of `length` rows, the first at `start`, each `stride` after the
/// last. A plain tensor is one run of all its rows; interleaved q/k/v (gpt_neox) is one run per head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Storage {
    /// First row (an output feature) in the tensor seen as `rows x columns`; a stack `[E, out, in]` has `E * out` rows.
    pub start: u64,
    /// Rows per run.
    pub length: u64,
    /// Rows from one run's start to the next's.
    pub stride: u64,
    /// Number of runs.
    pub count: u64,
    /// Whether the tensor holds W transposed (`[in, out]`, gpt2's Conv1D): runs are then of columns.
    pub transposed: bool,
    /// Head dim C when rows of each head are in pair order (0, C/2, 1, C/2+1, …), as llama.cpp's converter leaves q and
    /// k of some architectures; loading restores 0, 1, 2, ….
    pub rope_pairs: Option<u64>,
}

impl Storage {
    /// Rows `start..start + length` as they are.
    pub fn rows(start: u64, length: u64) -> Self {
        Self { start, length, stride: length, count: 1, transposed: false, rope_pairs: None }
    }
}

/// One cell and where its weights are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CellSource {
    /// Which cell.
    pub id: CellId,
    /// Tensor in the checkpoint.
    pub tensor: String,
    /// Which part of it.
    pub storage: Storage,
    /// Output features m.
    pub out_features: u64,
    /// Input features n.
    pub in_features: u64,
}
