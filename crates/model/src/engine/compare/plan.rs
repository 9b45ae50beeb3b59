//! What a comparison takes, before it is begun, and the rounds it is cut into.

use super::change::{Change, Round, Variant};
use crate::architecture::{Architecture, Layer, Wiring};
use crate::cell::CellSource;
use crate::engine::error::{EngineError, megabytes};
use crate::engine::head::TILE;
use crate::engine::memory::{GROUP_ROWS, Parts, routed, values_per_row};
use crate::engine::ops::Damage;
use crate::engine::taps::Taps;
use crate::model::Model;
use tomo_map::Component;

/// Rows whose logits of the original are held at a time, over one tile of the vocabulary.
pub(super) const HEAD_ROWS: usize = 1024;

/// Bytes that are enough for a round where blocks stay decoded: more would only take memory.
const ENOUGH: u64 = 256_000_000;

/// What a comparison takes.
#[derive(Clone, PartialEq, Debug)]
pub struct ComparePlan {
    /// Whether all blocks stay decoded between rounds; else they are loaded, used and dropped, once per round.
    pub resident: bool,
    /// Bytes at the peak: weights, residual streams, intermediate values, and the program itself.
    pub bytes: u64,
    /// Of these, decoded weights.
    pub weight_bytes: u64,
    /// Bytes of the checkpoint that are read, in all rounds together.
    pub read_bytes: u64,
    /// Floating-point operations of the matrix products, in all rounds together.
    pub operations: u64,
    /// The budget it was made for.
    pub budget: u64,
    /// What runs together: every pair of a variant and a sequence is in one of these. Each is one reading of the checkpoint.
    pub rounds: Vec<Round>,
    pub(super) costs: Costs,
}

impl ComparePlan {
    /// Cuts other sequences and variants of the same pass into rounds that keep to the plan's bytes.
    pub fn cut(&self, which: &Round) -> Vec<Round> {
        self.costs.cut(which, self.resident, self.budget).unwrap_or_else(|| vec![which.clone()])
    }

    /// Equal steps of work that a round announces to its progress.
    pub fn steps(&self, round: &Round) -> usize {
        self.costs.steps(self.costs.operations(round))
    }
}

/// What the parts of a comparison cost.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Costs {
    /// Tokens of each sequence.
    lengths: Vec<usize>,
    variants: Vec<VariantCost>,
    hidden: u64,
    /// Decoded: all blocks and the head; two of the largest blocks, or a tile of the head.
    weights: (u64, u64),
    /// The program, pages that are mapped, intermediate values of a group.
    fixed: u64,
    largest_block: u64,
    /// Values per row that the original leaves in a block.
    tape: u64,
    /// Operations per row: of each layer; of the head.
    layers: Vec<u64>,
    head: u64,
    vocab: u64,
    /// Checkpoint bytes of one reading.
    stored: u64,
}

#[derive(Clone, PartialEq, Debug)]
struct VariantCost {
    first: Option<usize>,
    resamples: bool,
    rewrites: bool,
    /// Operations per row in its first layer.
    start: u64,
}

impl Costs {
    pub(super) fn new(model: &Model, architecture: &Architecture, lengths: &[usize], variants: &[Variant]) -> Self {
        let parts = Parts::new(model, architecture, lengths, &Taps::new(&[]), true, 0);
        let hidden = architecture.hidden as u64;
        let mut layers = vec![0; architecture.layers.len()];
        for cell in model.cells() {
            if let Some(sum) = layers.get_mut(cell.id.layer as usize) {
                *sum += operations_of(&architecture.layers, cell);
            }
        }
        let values = architecture.layers.iter().map(|layer| values_per_row(layer, hidden, model, true));
        let tape = values.max().unwrap_or(0);
        let group = lengths.iter().copied().max().unwrap_or(0).max(GROUP_ROWS.min(lengths.iter().sum())) as u64;
        let cost = |variant: &Variant| {
            let all: Vec<usize> = (0..variants.len()).collect();
            let first = variant.starts_at(model, &all);
            let rewrites = variant.changes.iter().any(|(_, change)| matches!(change, Change::Weights(_)));
            let start = match variant.branch {
                Some(branch) => layers.get(branch.layer as usize).copied().unwrap_or(0),
                None => first.map_or(0, |layer| start_operations(model, architecture, layer, variant)),
            };
            VariantCost { first, resamples: variant.resamples(), rewrites, start }
        };
        let stored: u64 = (0..model.cells().len()).map(|at| model.cell_bytes(at)).sum();
        Self {
            lengths: lengths.to_vec(),
            variants: variants.iter().map(cost).collect(),
            hidden,
            weights: (parts.blocks + parts.head, (2 * parts.largest).max(parts.tile)),
            fixed: parts.program() + parts.mapped + 4 * tape * group,
            largest_block: parts.largest,
            tape,
            layers,
            head: 2 * hidden * architecture.vocab as u64,
            vocab: architecture.vocab as u64,
            stored: stored + model.source().tensor(&architecture.head.tensor).map_or(0, |t| t.bytes),
        }
    }

    /// Rows that are measured, and rows that the original runs on: those, and those of partners.
    fn rows(&self, round: &Round) -> (u64, u64) {
        let length = |s: &usize| self.lengths.get(*s).copied().unwrap_or(0) as u64;
        let own: u64 = round.sequences.iter().map(length).sum();
        if !self.of(round).any(|v| v.resamples) {
            return (own, own);
        }
        let partners = round.sequences.iter().map(|s| (s + 1) % self.lengths.len().max(1));
        let others: u64 = partners.filter(|p| !round.sequences.contains(p)).map(|p| length(&p)).sum();
        (own, own + others)
    }

    fn of<'s>(&'s self, round: &'s Round) -> impl Iterator<Item = &'s VariantCost> {
        round.variants.iter().filter_map(|v| self.variants.get(*v)).filter(|v| v.first.is_some())
    }

    /// Bytes that a round adds to what is there anyway.
    fn bytes(&self, round: &Round) -> u64 {
        let (own, carried) = self.rows(round);
        let (count, row) = (self.of(round).count() as u64, 4 * self.hidden);
        let stream = row * own * count;
        let rewritten = if self.of(round).any(|v| v.rewrites) { self.largest_block } else { 0 };
        let tape = if count > 0 { 4 * self.tape * carried } else { 0 };
        let blocks = row * carried + tape + rewritten;
        let tile = 12 * (HEAD_ROWS as u64).min(own) * (TILE as u64).min(self.vocab);
        let head = row * (carried + own) + tile + own * count * size_of::<Damage>() as u64;
        stream + blocks.max(head)
    }

    /// Floating-point operations of a round.
    pub(super) fn operations(&self, round: &Round) -> u64 {
        let (own, carried) = self.rows(round);
        let after = |first: usize| self.layers.iter().skip(first + 1).sum::<u64>();
        let variant = |v: &VariantCost| v.start + v.first.map_or(0, after) + self.head;
        let original = carried * self.layers.iter().sum::<u64>() + 2 * own * self.head;
        original + own * self.of(round).map(variant).sum::<u64>()
    }

    /// Operations of a round before block `layer`.
    pub(super) fn operations_before(&self, round: &Round, layer: usize) -> u64 {
        let (own, carried) = self.rows(round);
        let variant = |v: &VariantCost| match v.first {
            Some(first) if first < layer => v.start + self.layers[first + 1..layer].iter().sum::<u64>(),
            _ => 0,
        };
        carried * self.layers[..layer].iter().sum::<u64>() + own * self.of(round).map(variant).sum::<u64>()
    }

    /// Operations of one step of progress: those of a group of rows in a block.
    pub(super) fn step(&self) -> u64 {
        (GROUP_ROWS as u64 * self.layers.iter().sum::<u64>() / (self.layers.len() as u64).max(1)).max(1)
    }

    pub(super) fn steps(&self, operations: u64) -> usize {
        usize::try_from(operations.div_ceil(self.step())).unwrap_or(usize::MAX)
    }

    /// Operations per row: of a whole layer, of a variant in its first one, of the head.
    pub(super) fn layer(&self, layer: usize) -> u64 {
        self.layers.get(layer).copied().unwrap_or(0)
    }

    pub(super) fn start(&self, variant: usize) -> u64 {
        self.variants.get(variant).map_or(0, |v| v.start)
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    fn fixed(&self, resident: bool) -> u64 {
        self.fixed + if resident { self.weights.0 } else { self.weights.1 }
    }

    /// Blocks stay where they fit beside one sequence with all variants; else as few readings as fit.
    pub(super) fn plan(self, budget: u64, streamed: bool) -> Result<ComparePlan, EngineError> {
        let all = Round { sequences: (0..self.lengths.len()).collect(), variants: (0..self.variants.len()).collect() };
        for resident in [true, false] {
            if resident && (streamed || !self.fits_whole(&all, budget)) {
                continue;
            }
            let Some(rounds) = self.cut(&all, resident, budget) else { continue };
            let readings = if resident { 1 } else { rounds.len() as u64 };
            let largest = rounds.iter().map(|round| self.bytes(round)).max().unwrap_or(0);
            return Ok(ComparePlan {
                resident,
                bytes: self.fixed(resident) + largest,
                weight_bytes: if resident { self.weights.0 } else { self.weights.1 },
                read_bytes: readings * self.stored,
                operations: rounds.iter().map(|round| self.operations(round)).sum(),
                budget,
                rounds,
                costs: self,
            });
        }
        let alone = |s: usize, variants: Vec<usize>| self.bytes(&Round { sequences: vec![s], variants });
        let choices = || all.variants.iter().map(|v| vec![*v]).chain([Vec::new()]);
        let pairs = all.sequences.iter().flat_map(|s| choices().map(move |variants| (*s, variants)));
        let least = self.fixed(false) + pairs.map(|(s, variants)| alone(s, variants)).max().unwrap_or(0);
        let hint = format!("--memory {}, or shorter sequences", megabytes(least).replace(' ', ""));
        Err(EngineError::Memory { budget, needed: least, hint })
    }

    /// Whether decoded weights leave room for every sequence with all variants.
    fn fits_whole(&self, all: &Round, budget: u64) -> bool {
        let room = budget.saturating_sub(self.fixed(true));
        let one = |s: &usize| Round { sequences: vec![*s], variants: all.variants.clone() };
        all.sequences.iter().all(|s| self.bytes(&one(s)) <= room)
    }

    /// Rounds over sequences, and where not even one fits with all variants, over variants by layer. `None`: not even one
    /// variant fits.
    fn cut(&self, which: &Round, resident: bool, budget: u64) -> Option<Vec<Round>> {
        let room = budget.checked_sub(self.fixed(resident))?;
        let mut variants = which.variants.clone();
        variants.sort_by_key(|v| (self.variants.get(*v).and_then(|v| v.first), *v));
        let (mut most, mut cuts) = (variants.len().max(1), Vec::new());
        // The fewest runs of variants by which every sequence fits.
        for count in 1..=variants.len().max(1) {
            most = variants.len().div_ceil(count).max(1);
            cuts = variants.chunks(most).map(<[usize]>::to_vec).collect::<Vec<_>>();
            if cuts.is_empty() {
                cuts.push(Vec::new());
            }
            let fits =
                |s: &usize, cut: &Vec<usize>| self.bytes(&Round { sequences: vec![*s], variants: cut.clone() }) <= room;
            if which.sequences.iter().all(|s| cuts.iter().all(|cut| fits(s, cut))) {
                break;
            }
            if most == 1 {
                return None;
            }
        }
        debug_assert!(most > 0);
        let mut rounds = Vec::new();
        for mut cut in cuts {
            cut.sort_unstable();
            rounds.extend(self.cut_sequences(&which.sequences, cut, resident, room));
        }
        Some(rounds)
    }

    /// As many sequences to a round as fit, and are enough.
    fn cut_sequences(&self, sequences: &[usize], variants: Vec<usize>, resident: bool, room: u64) -> Vec<Round> {
        let mut rounds: Vec<Round> = Vec::new();
        for &sequence in sequences {
            if let Some(round) = rounds.last_mut() {
                let enough = resident && self.bytes(round) >= ENOUGH;
                round.sequences.push(sequence);
                if !enough && self.bytes(round) <= room {
                    continue;
                }
                round.sequences.pop();
            }
            rounds.push(Round { sequences: vec![sequence], variants: variants.clone() });
        }
        rounds
    }
}

/// Operations per row of a cell's product.
fn operations_of(layers: &[Layer], cell: &CellSource) -> u64 {
    (2.0 * routed(layers, cell)) as u64
}

/// Operations per row that a variant takes in its first layer, where the rest is the original's.
fn start_operations(model: &Model, architecture: &Architecture, layer: usize, variant: &Variant) -> u64 {
    use Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};
    let Some(spec) = architecture.layers.get(layer) else { return 0 };
    let here = |cell: usize| model.cells().get(cell).filter(|c| c.id.layer as usize == layer);
    let changed: Vec<Component> =
        variant.changes.iter().filter_map(|(cell, _)| here(*cell)).map(|c| c.id.component).collect();
    let changes = |components: &[Component]| components.iter().any(|c| changed.contains(c));
    let (heads, mlp_in) = (changes(&[AttnQ, AttnK, AttnV]), changes(&[MlpUp, MlpGate]));
    let attends = heads || changes(&[AttnO]);
    let whole_mlp = attends && spec.wiring == Wiring::Sequential;
    let runs = |cell: usize, component: Component| match component {
        AttnQ | AttnK | AttnV => variant.changes.iter().any(|(c, _)| *c == cell),
        AttnO => attends,
        MlpUp | MlpGate => whole_mlp || variant.changes.iter().any(|(c, _)| *c == cell),
        MlpDown => whole_mlp || mlp_in || changes(&[MlpDown]),
    };
    let cells = model.cells().iter().enumerate().filter(|(_, c)| c.id.layer as usize == layer);
    let counted = cells.filter(|(at, cell)| runs(*at, cell.id.component));
    counted.map(|(_, cell)| operations_of(&architecture.layers, cell)).sum()
}
