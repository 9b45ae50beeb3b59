//! What a pass takes, before it is begun.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use super::error::{EngineError, megabytes};
use super::head::TILE;
use super::tap::Tap;
use super::taps::Taps;
use crate::architecture::{Architecture, Layer, Wiring};
use crate::model::Model;

/// Rows that run through a block together: enough for the matrix products to be efficient. One longer sequence is a
/// group of its own. Independent of the budget, so that a budget never changes a bit.
pub(crate) const GROUP_ROWS: usize = 1024;

/// The program itself: its code, its threads' stacks, the packing buffers of the matrix products.
const PROGRAM_BYTES: u64 = 24_000_000;

/// Share of the free memory that a pass may take unless told otherwise.
const DEFAULT_SHARE: f64 = 0.6;

/// What a pass takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryPlan {
    /// Whether all blocks stay decoded between passes; else they are loaded, used and dropped.
    pub resident: bool,
    /// Bytes at the peak: weights, activations, what observers said they need, and the program itself.
    pub bytes: u64,
    /// Of these, decoded weights.
    pub weight_bytes: u64,
    /// The budget it was made for.
    pub budget: u64,
}

/// The parts a plan is made of, in bytes.
pub(crate) struct Parts {
    /// Decoded blocks, all of them.
    blocks: u64,
    /// The largest decoded block.
    largest: u64,
    /// Pages of the checkpoint mapped while the largest block is decoded.
    mapped: u64,
    /// The head, decoded whole; 0 when the pass ends before it.
    head: u64,
    /// One decoded tile of the head.
    tile: u64,
    /// The residual stream, per token.
    per_token: u64,
    /// Tokens.
    tokens: u64,
    /// Intermediate values of a group, in a block.
    scratch: u64,
    /// Of observers.
    observers: u64,
}

impl Parts {
    pub(crate) fn new(
        model: &Model,
        architecture: &Architecture,
        lengths: &[usize],
        taps: &Taps<'_>,
        head: bool,
        observers: u64,
    ) -> Self {
        let mut sizes = vec![(0_u64, 0_u64); architecture.layers.len()];
        for (index, cell) in model.cells().iter().enumerate() {
            if let Some((decoded, stored)) = sizes.get_mut(cell.id.layer as usize) {
                *decoded += 4 * cell.out_features * cell.in_features;
                *stored = (*stored).max(model.cell_bytes(index));
            }
        }
        let hidden = architecture.hidden as u64;
        let group = lengths.iter().copied().max().unwrap_or(0).max(GROUP_ROWS.min(lengths.iter().sum()));
        let scratch = architecture.layers.iter().map(|layer| scratch_bytes(layer, hidden, group as u64, taps, model));
        let vocab = architecture.vocab as u64;
        let tile = (TILE as u64).min(vocab);
        Self {
            blocks: sizes.iter().map(|s| s.0).sum(),
            largest: sizes.iter().map(|s| s.0).max().unwrap_or(0),
            mapped: sizes.iter().map(|s| s.1).max().unwrap_or(0),
            head: if head { 4 * vocab * hidden } else { 0 },
            tile: if head { 4 * tile * hidden } else { 0 },
            per_token: 4 * hidden + 8,
            tokens: lengths.iter().sum::<usize>() as u64,
            scratch: scratch.max().unwrap_or(0),
            observers,
        }
    }

    fn resident(&self) -> u64 {
        self.blocks + self.head + self.mapped + self.scratch + self.activations()
    }

    /// The block in use and the next one; then the head.
    fn streamed(&self) -> u64 {
        (2 * self.largest + self.mapped + self.scratch).max(self.tile) + self.activations()
    }

    fn activations(&self) -> u64 {
        PROGRAM_BYTES + self.tokens * self.per_token + self.observers
    }

    /// Resident if that fits, else streamed, else an error that says what would work.
    pub(crate) fn plan(&self, budget: u64, streamed: bool) -> Result<MemoryPlan, EngineError> {
        if !streamed && self.resident() <= budget {
            let weight_bytes = self.blocks + self.head;
            return Ok(MemoryPlan { resident: true, bytes: self.resident(), weight_bytes, budget });
        }
        let needed = self.streamed();
        if needed <= budget {
            let weight_bytes = (2 * self.largest).max(self.tile);
            return Ok(MemoryPlan { resident: false, bytes: needed, weight_bytes, budget });
        }
        let fixed = needed - self.tokens * self.per_token;
        let room = budget.saturating_sub(fixed) / self.per_token.max(1);
        let budget_hint = format!("--memory {}", megabytes(needed).replace(' ', ""));
        let hint = match room {
            64.. => format!("{budget_hint}, or --tokens {room}"),
            _ => budget_hint,
        };
        Err(EngineError::Memory { budget, needed, hint })
    }
}

/// Intermediate values of `rows` rows in one block, as [`super::block::Scratch`] holds them.
fn scratch_bytes(layer: &Layer, hidden: u64, rows: u64, taps: &Taps<'_>, model: &Model) -> u64 {
    let attention = &layer.attention;
    let (query, shared) =
        ((attention.heads * attention.head_dim) as u64, (attention.kv_heads * attention.head_dim) as u64);
    let widest = |dim: Option<u64>| dim.unwrap_or(0);
    let dims = model.dims();
    let width = if layer.mlp.experts.is_some() { widest(dims.expert_ffn) } else { widest(dims.ffn) };
    let mut per_row = 3 * hidden + 2 * query + 2 * shared + width * if layer.mlp.gated { 3 } else { 2 };
    if layer.wiring == Wiring::Parallel {
        per_row += hidden;
    }
    if taps.wants(Tap::ResidualOut) {
        per_row += hidden;
    }
    if let Some(experts) = &layer.mlp.experts {
        per_row += 2 * hidden + experts.count as u64;
    }
    4 * per_row * rows
}

/// What a pass may take when nobody says: a share of what is free now.
pub fn default_budget() -> u64 {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let free = System::new_with_specifics(RefreshKind::nothing().with_memory(memory)).available_memory();
    (free as f64 * DEFAULT_SHARE) as u64
}
