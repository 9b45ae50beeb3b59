//! What a pass takes, before it is begun.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use super::error::{EngineError, megabytes};
use super::head::TILE;
use super::pass::Activations;
use super::reverse::reverse_groups;
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

/// Operations that a kept byte must save to be worth its memory being touched for the first time. Measured on a virtual
/// machine of two cores whose host hands memory out as it is touched: SmolLM2 saves 150 operations per byte and is 1.2 times
/// faster when everything is made again; a model of 1.5 billion weights would save 640.
const WORTH_KEEPING: u64 = 250;

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

/// What a reverse pass takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReversePlan {
    /// Whether all blocks stay decoded; else they are loaded, used and dropped, forward and again backward.
    pub resident: bool,
    /// Whether what blocks make forward is kept for the way back; else it is made again.
    pub keeps_activations: bool,
    /// Whether the inputs of blocks wait in a scratch file; else in memory.
    pub inputs_on_disk: bool,
    /// Bytes at the peak: weights, activations, gradients, what observers said they need, and the program itself.
    pub bytes: u64,
    /// Of these, decoded weights.
    pub weight_bytes: u64,
    /// Bytes of the scratch file; 0 where the inputs are in memory.
    pub disk_bytes: u64,
    /// Bytes of the checkpoint that are read.
    pub read_bytes: u64,
    /// Floating-point operations of the matrix products.
    pub operations: u64,
    /// The budget it was made for.
    pub budget: u64,
}

/// The parts a plan is made of, in bytes.
pub(crate) struct Parts {
    /// Decoded blocks, all of them.
    pub(super) blocks: u64,
    /// The largest decoded block.
    pub(super) largest: u64,
    /// Pages of the checkpoint mapped while the largest block is decoded.
    pub(super) mapped: u64,
    /// The head, decoded whole; 0 when the pass ends before it.
    pub(super) head: u64,
    /// One decoded tile of the head.
    pub(super) tile: u64,
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

    /// The program itself.
    pub(super) fn program(&self) -> u64 {
        PROGRAM_BYTES
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

/// The parts of a reverse pass, in bytes.
pub(crate) struct ReverseParts {
    /// Of one block's weights at a time, the residual stream and a block's forward pass.
    pass: Parts,
    /// What the largest block keeps of the largest group.
    tape: u64,
    /// What all blocks keep of all groups.
    tapes: u64,
    /// Inputs of all blocks.
    inputs: u64,
    /// The gradients of a group in a block, of the stream, and of what the head reads.
    gradients: u64,
    /// Checkpoint bytes of one reading of all blocks, and of the head.
    stored: (u64, u64),
    /// Products of one pass forward through the blocks; through the head.
    products: (u64, u64),
    objectives: u64,
}

impl ReverseParts {
    pub(crate) fn new(
        model: &Model,
        architecture: &Architecture,
        lengths: &[usize],
        objectives: usize,
        observers: u64,
    ) -> Self {
        let pass = Parts::new(model, architecture, lengths, &Taps::new(&[]), true, observers);
        let (hidden, count) = (architecture.hidden as u64, objectives.max(1) as u64);
        let largest =
            reverse_groups(lengths.iter().copied(), objectives).iter().map(|g| g.rows()).max().unwrap_or(0) as u64;
        let (tokens, layers) = (pass.tokens, architecture.layers.len() as u64);
        let tape = |layer: &Layer, rows: u64| 4 * rows * values_per_row(layer, hidden, model, true);
        let gradient = |layer: &Layer| 4 * count * largest * values_per_row(layer, hidden, model, false);
        let largest_of = |f: &dyn Fn(&Layer) -> u64| architecture.layers.iter().map(f).max().unwrap_or(0);
        let cells = model.cells();
        let weights: u64 = cells.iter().map(|c| routed(&architecture.layers, c) as u64).sum();
        let stored = (0..cells.len()).map(|at| model.cell_bytes(at)).sum();
        let vocab = architecture.vocab as u64;
        let head = vocab * hidden;
        let head_stored = model.source().tensor(&architecture.head.tensor).map_or(0, |t| t.bytes);
        Self {
            tape: largest_of(&|layer| tape(layer, largest)),
            tapes: architecture.layers.iter().map(|layer| tape(layer, tokens)).sum(),
            inputs: 4 * tokens * hidden * (layers + 1),
            // The stream, or what the head reads with its gradients, in two copies for a moment; marks for draws.
            gradients: 4 * tokens * hidden * (2 * count + 4)
                + largest_of(&gradient).max(8 * tokens * vocab.div_ceil(192)),
            stored: (stored, head_stored),
            products: (2 * tokens * weights, 2 * tokens * head),
            objectives: count,
            pass,
        }
    }

    /// The first of these that fits: everything kept; what blocks make forward made again; weights streamed; inputs of blocks
    /// on disk.
    pub(crate) fn plan(
        &self,
        budget: u64,
        streamed: bool,
        activations: Activations,
    ) -> Result<ReversePlan, EngineError> {
        let mut least = u64::MAX;
        let recompute = match activations {
            Activations::Keep => false,
            Activations::Recompute => true,
            Activations::Faster => self.products.0 < WORTH_KEEPING * self.tapes,
        };
        for (resident, keeps, on_disk) in
            [(true, true, false), (true, false, false), (false, false, false), (false, false, true)]
        {
            if (resident && streamed) || (keeps && recompute) {
                continue;
            }
            let weights = match resident {
                true => self.pass.blocks + self.pass.head,
                false => (2 * self.pass.largest).max(self.pass.tile),
            };
            let activations = if keeps { self.tapes } else { self.tape };
            let inputs = if on_disk { 0 } else { self.inputs };
            let bytes = weights + self.pass.mapped + activations + inputs + self.gradients + self.pass.activations();
            least = least.min(bytes);
            if bytes <= budget {
                let readings = if resident { 1 } else { 2 };
                let (blocks, head) = self.products;
                let sweeps = if keeps { 1 } else { 2 };
                return Ok(ReversePlan {
                    resident,
                    keeps_activations: keeps,
                    inputs_on_disk: on_disk,
                    bytes,
                    weight_bytes: weights,
                    disk_bytes: if on_disk { self.inputs } else { 0 },
                    read_bytes: readings * (self.stored.0 + self.stored.1),
                    operations: blocks * (sweeps + self.objectives) + 2 * head,
                    budget,
                });
            }
        }
        let hint = format!("--memory {}, or fewer tokens", megabytes(least).replace(' ', ""));
        Err(EngineError::Memory { budget, needed: least, hint })
    }
}

/// Weights of a cell that a token meets: of an expert, those that a token meets on average.
pub(super) fn routed(layers: &[Layer], cell: &crate::CellSource) -> f64 {
    let weights = (cell.out_features * cell.in_features) as f64;
    let experts = layers.get(cell.id.layer as usize).and_then(|l| l.mlp.experts.as_ref());
    match (cell.id.expert, experts) {
        (Some(_), Some(experts)) => weights * experts.top_k as f64 / experts.count.max(1) as f64,
        _ => weights,
    }
}

/// Values per row that a block's tape keeps, or that its gradients take.
pub(super) fn values_per_row(layer: &Layer, hidden: u64, model: &Model, tape: bool) -> u64 {
    let attention = &layer.attention;
    let query = (attention.heads * attention.head_dim) as u64;
    let projected = query + 2 * (attention.kv_heads * attention.head_dim) as u64;
    let dims = model.dims();
    let width = if layer.mlp.experts.is_some() { dims.expert_ffn } else { dims.ffn }.unwrap_or(0);
    let mlp = width * if layer.mlp.gated { 3 } else { 2 };
    let (chosen, routing) = match &layer.mlp.experts {
        // As if all tokens chose the same experts: what a buffer for one expert has to hold.
        Some(experts) => (experts.top_k as u64, 2 * hidden + 2 * experts.count as u64),
        None => (1, 0),
    };
    match tape {
        true => 8 * hidden + 2 * projected + query + chosen * mlp + chosen * routing,
        false => 4 * hidden + projected + query + mlp + routing,
    }
}

/// What a pass may take when nobody says: a share of what is free now.
pub fn default_budget() -> u64 {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let free = System::new_with_specifics(RefreshKind::nothing().with_memory(memory)).available_memory();
    (free as f64 * DEFAULT_SHARE) as u64
}
