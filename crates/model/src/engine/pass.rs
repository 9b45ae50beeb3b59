//! The engine: a model with its arithmetic, and passes of token sequences through it, layer by layer.

use std::collections::HashMap;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::block::{Block, RotaryTables, Tape};
use super::error::EngineError;
use super::head::{HeadRun, HeadWeights};
use super::memory::{GROUP_ROWS, MemoryPlan, Parts, ReverseParts, ReversePlan, default_budget};
use super::ops::{NormWeights, RotaryTable, normalise, scale};
use super::tap::{Observer, Rows, Tap};
use super::taps::{Group, Site, Taps};
use super::weights::{BlockWeights, check_finite, load_norm};
use crate::architecture::Architecture;
use crate::model::Model;

/// How to run a model.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Worker threads; as many as the machine has cores where `None`.
    pub threads: Option<usize>,
    /// Bytes a pass may take; 60 % of the free memory where `None`.
    pub memory_bytes: Option<u64>,
    /// Load, use and drop blocks even where all of them would fit.
    pub streamed: bool,
    /// What a reverse pass does with what blocks made on the way forward.
    pub activations: Activations,
    /// Floating-point operations after which a comparison leaves what it needs to go on; about half a minute's where `None`.
    pub save_every: Option<u64>,
}

/// What a reverse pass does with what blocks made on the way forward.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Activations {
    /// Whichever is faster and fits.
    #[default]
    Faster,
    /// Keep it where that fits.
    Keep,
    /// Make it again, block by block.
    Recompute,
}

/// Who watches a pass, and may end it.
pub trait PassProgress: Sync {
    /// The pass begins: `steps` equal steps of work.
    fn start(&self, steps: usize);
    /// One step is done, of layer `layer` (L: the head).
    fn step(&self, layer: u32);
    /// Whether to stop; asked between steps.
    fn is_cancelled(&self) -> bool;
}

/// Where a pass ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// After the last block: nothing is asked of the head.
    LastBlock,
    /// After the block of this layer.
    Layer(u32),
    /// After the losses of all tokens.
    Loss,
}

/// What a pass gave.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Per sequence, negative log likelihood in nats of tokens 1, 2, … given those before; empty when the pass ended
    /// before the head.
    pub losses: Vec<Vec<f64>>,
    /// Whether it ran to its end; `false` when cancelled.
    pub completed: bool,
}

/// A model that can be run.
pub struct Engine {
    pub(super) model: Arc<Model>,
    pub(super) architecture: Architecture,
    pub(super) options: EngineOptions,
    pub(super) pool: rayon::ThreadPool,
    /// Decoded blocks, where they stay.
    blocks: Vec<OnceLock<BlockWeights>>,
    head: OnceLock<HeadWeights>,
}

impl Engine {
    /// An engine for `model`, whose arithmetic is `architecture`.
    ///
    /// # Errors
    /// An embedding or head of another size than the config says; no threads.
    pub fn new(model: Arc<Model>, architecture: Architecture, options: EngineOptions) -> Result<Self, EngineError> {
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = options.threads.unwrap_or_else(available).max(1);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| EngineError::Threads { threads, reason: e.to_string() })?;
        let blocks = architecture.layers.iter().map(|_| OnceLock::new()).collect();
        let engine = Self { model, architecture, options, pool, blocks, head: OnceLock::new() };
        engine.head_run(&HeadWeights::Streamed).check()?;
        Ok(engine)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its arithmetic.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// What [`Engine::forward`] will take for sequences of these lengths; `observer_bytes` is what the observers keep.
    ///
    /// # Errors
    /// More than the budget even when blocks are streamed.
    pub fn plan(
        &self,
        lengths: &[usize],
        observers: &[&dyn Observer],
        observer_bytes: u64,
        until: Until,
    ) -> Result<MemoryPlan, EngineError> {
        let taps = Taps::new(observers);
        let head = until == Until::Loss;
        let parts = Parts::new(&self.model, &self.architecture, lengths, &taps, head, observer_bytes);
        parts.plan(self.options.memory_bytes.unwrap_or_else(default_budget), self.options.streamed)
    }

    /// What [`Engine::reverse`] will take for sequences of these lengths and so many objectives; `observer_bytes` is what the
    /// observers keep.
    ///
    /// # Errors
    /// More than the budget even when blocks are streamed and their inputs wait on disk.
    pub fn plan_reverse(
        &self,
        lengths: &[usize],
        objectives: usize,
        observer_bytes: u64,
    ) -> Result<ReversePlan, EngineError> {
        let parts = ReverseParts::new(&self.model, &self.architecture, lengths, objectives, observer_bytes);
        let budget = self.options.memory_bytes.unwrap_or_else(default_budget);
        parts.plan(budget, self.options.streamed, self.options.activations)
    }

    /// Runs `sequences` of token ids through the model, each from position 0 and by itself, and hands taps to
    /// `observers`. The order is layer by layer: weights are read once, whatever the number of tokens. Same sequences,
    /// same build, same thread count: same bits, streamed or not.
    ///
    /// # Errors
    /// A token that is not in the vocabulary, a sequence that is too short or too long, weights that cannot be read or
    /// are not finite, a loss that is not finite. A cancelled pass is not an error.
    pub fn forward(
        &self,
        sequences: &[Vec<u32>],
        observers: &[&dyn Observer],
        plan: &MemoryPlan,
        until: Until,
        progress: &dyn PassProgress,
    ) -> Result<Outcome, EngineError> {
        self.check_sequences(sequences.iter().map(Vec::as_slice))?;
        let taps = Taps::new(observers);
        let groups = groups(sequences.iter().map(Vec::len), GROUP_ROWS);
        let layers = match until {
            Until::Layer(last) => self.architecture.layers.len().min(last as usize + 1),
            Until::LastBlock | Until::Loss => self.architecture.layers.len(),
        };
        progress.start(groups.len() * (layers + usize::from(until == Until::Loss)));
        let mut pass = Pass {
            engine: self,
            sequences,
            taps: &taps,
            residual: self.pool.install(|| self.embed(&positions_of(sequences)))?,
            groups,
            rotary: self.rotary_tables(sequences.iter().map(Vec::len)),
            tape: Tape::default(),
            progress,
        };
        if !pass.blocks(layers, plan.resident)? {
            return Ok(Outcome { losses: Vec::new(), completed: false });
        }
        let is_whole = layers == self.architecture.layers.len();
        let needs_final = until == Until::Loss || (is_whole && taps.wants(Tap::FinalHidden));
        let losses = match needs_final {
            false => Vec::new(),
            true => {
                pass.finish()?;
                if until == Until::Loss { pass.losses(plan.resident)? } else { Vec::new() }
            }
        };
        Ok(Outcome { losses, completed: true })
    }

    /// Logits of every position of one sequence, `[T, V]` row-major: for short sequences.
    ///
    /// # Errors
    /// As [`Engine::forward`].
    pub fn logits(&self, sequence: &[u32]) -> Result<Vec<f32>, EngineError> {
        let sequences = [sequence.to_vec()];
        self.check_sequences(sequences.iter().map(Vec::as_slice))?;
        let taps = Taps::new(&[]);
        let mut pass = Pass {
            engine: self,
            sequences: &sequences,
            taps: &taps,
            residual: self.pool.install(|| self.embed(&positions_of(&sequences)))?,
            groups: groups(sequences.iter().map(Vec::len), GROUP_ROWS),
            rotary: self.rotary_tables(sequences.iter().map(Vec::len)),
            tape: Tape::default(),
            progress: &Unwatched,
        };
        pass.blocks(self.architecture.layers.len(), false)?;
        pass.finish()?;
        let vocab = self.architecture.vocab;
        let mut all = vec![0.0; sequence.len() * vocab];
        self.pool.install(|| {
            self.head_run(&HeadWeights::Streamed).run(&pass.residual, |tile| {
                for (t, row) in tile.logits.chunks_exact(tile.width).enumerate() {
                    let start = (tile.token + t) * vocab + tile.first;
                    all[start..start + tile.width].copy_from_slice(row);
                }
            })
        })?;
        Ok(all)
    }

    pub(super) fn check_sequences<'t>(&self, sequences: impl Iterator<Item = &'t [u32]>) -> Result<(), EngineError> {
        let positions =
            self.architecture.embedding.positions.as_ref().and_then(|name| self.model.source().tensor(name));
        let positions = positions.and_then(|t| t.shape.first()).and_then(|p| usize::try_from(*p).ok());
        for (sequence, tokens) in sequences.enumerate() {
            let length = tokens.len();
            if length < 2 {
                return Err(EngineError::Short { sequence, length });
            }
            if let Some(positions) = positions.filter(|p| length > *p) {
                return Err(EngineError::Long { sequence, length, positions });
            }
            let vocab = self.architecture.vocab;
            if let Some((position, &token)) = tokens.iter().enumerate().find(|(_, t)| **t as usize >= vocab) {
                return Err(EngineError::Token { token, sequence, position, vocab });
            }
        }
        Ok(())
    }

    /// The residual stream before the first block, `[N, D]`.
    pub(super) fn embed(&self, tokens: &[Embedded]) -> Result<Vec<f32>, EngineError> {
        let (hidden, spec) = (self.architecture.hidden, &self.architecture.embedding);
        let source = self.model.source();
        let row = |tensor: &str, row: u64, out: &mut [f32]| -> Result<(), EngineError> {
            source.decode(tensor, row * hidden as u64..(row + 1) * hidden as u64, out)?;
            check_finite(out, tensor, |at| format!("row {row}, column {at}"))
        };
        // A row is little and a store is far: all are asked for before the first is needed.
        tokens.iter().map(|t| u64::from(t.token)).for_each(|row| {
            source.prefetch(&spec.tensor, row * hidden as u64..(row + 1) * hidden as u64);
        });
        let mut residual = vec![0.0; tokens.len() * hidden];
        residual.par_chunks_mut(hidden).zip(tokens).with_min_len(16).try_for_each(|(out, embedded)| {
            row(&spec.tensor, u64::from(embedded.token), out)?;
            let mut other = Vec::new();
            if let Some((from, share)) = embedded.blend {
                other.resize(hidden, 0.0);
                row(&spec.tensor, u64::from(from), &mut other)?;
                out.iter_mut().zip(&other).for_each(|(x, from)| *x = share * *x + (1.0 - share) * from);
            }
            scale(out, spec.scale);
            if let Some(positions) = &spec.positions {
                other.resize(hidden, 0.0);
                row(positions, embedded.position as u64, &mut other)?;
                out.iter_mut().zip(&other).for_each(|(x, p)| *x += p);
            }
            Ok::<(), EngineError>(())
        })?;
        if let Some(info) = source.tensor(&spec.tensor) {
            source.release(&spec.tensor, 0..info.numel());
        }
        Ok(residual)
    }

    pub(super) fn rotary_tables(&self, lengths: impl Iterator<Item = usize> + Clone) -> RotaryTables {
        let mut tables = HashMap::new();
        for (index, rope) in self.architecture.ropes.iter().enumerate() {
            for length in lengths.clone() {
                tables.entry((index, length)).or_insert_with(|| RotaryTable::new(rope, length));
            }
        }
        tables
    }

    /// Hands over the blocks of `order`, each decoded while the one before it runs; afterwards kept where `keep` says so, else
    /// dropped. `run` says whether to go on; `false` when it did not.
    pub(super) fn each_block(
        &self,
        order: &[usize],
        keep: bool,
        mut run: impl FnMut(usize, &BlockWeights) -> Result<bool, EngineError>,
    ) -> Result<bool, EngineError> {
        let to_load: Vec<usize> = order.iter().copied().filter(|l| self.blocks[*l].get().is_none()).collect();
        std::thread::scope(|scope| {
            // No room in the channel: one block in use, one waiting.
            let (send, receive) = mpsc::sync_channel(0);
            scope.spawn(move || {
                for layer in to_load {
                    let block = self.load_block(layer);
                    let failed = block.is_err();
                    // A closed channel means that nobody wants more.
                    if send.send(block).is_err() || failed {
                        return;
                    }
                }
            });
            for &layer in order {
                let slot = &self.blocks[layer];
                let ran = match slot.get() {
                    Some(block) => run(layer, block)?,
                    None => {
                        // The loader ends early only after an error, which comes through here.
                        let Ok(block) = receive.recv() else { return Ok(false) };
                        let block = block?;
                        if keep { run(layer, slot.get_or_init(|| block))? } else { run(layer, &block)? }
                    }
                };
                if !ran {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// The head's weights, decoded whole and kept where `resident` says so.
    pub(super) fn head_weights(&self, resident: bool) -> Result<&HeadWeights, EngineError> {
        match (resident, self.head.get()) {
            (false, _) => Ok(&HeadWeights::Streamed),
            (true, Some(weights)) => Ok(weights),
            (true, None) => {
                let weights = self.head_run(&HeadWeights::Streamed).load()?;
                Ok(self.head.get_or_init(|| weights))
            }
        }
    }

    fn load_block(&self, layer: usize) -> Result<BlockWeights, EngineError> {
        let number = u32::try_from(layer).unwrap_or(u32::MAX);
        BlockWeights::load(&self.model, self.architecture.hidden, number, &self.architecture.layers[layer])
    }

    pub(super) fn head_run<'a>(&'a self, weights: &'a HeadWeights) -> HeadRun<'a> {
        let Architecture { hidden, vocab, head, .. } = &self.architecture;
        HeadRun { model: &self.model, spec: head, weights, hidden: *hidden, vocab: *vocab }
    }
}

/// Watches nothing and never ends a pass.
pub struct Unwatched;

impl PassProgress for Unwatched {
    fn start(&self, _steps: usize) {}
    fn step(&self, _layer: u32) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A token where it is embedded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Embedded {
    pub(super) position: usize,
    pub(super) token: u32,
    /// Another token, and the share of this one's embedding in the mixture of both.
    pub(super) blend: Option<(u32, f32)>,
}

/// Every token of `sequences`, one after the other.
fn positions_of(sequences: &[Vec<u32>]) -> Vec<Embedded> {
    let embedded = |(position, token): (usize, &u32)| Embedded { position, token: *token, blend: None };
    sequences.iter().flat_map(|s| s.iter().enumerate().map(embedded)).collect()
}

/// Sequences of these lengths in their order, as many to a group as `most` rows hold; a longer one is a group of its own.
pub(super) fn groups(lengths: impl Iterator<Item = usize>, most: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    let (mut members, mut rows) = (Vec::new(), 0);
    for (index, length) in lengths.enumerate() {
        if rows > 0 && rows + length > most {
            groups.push(Group::new(std::mem::take(&mut members).into_iter()));
            rows = 0;
        }
        members.push((index, length));
        rows += length;
    }
    if rows > 0 {
        groups.push(Group::new(members.into_iter()));
    }
    groups
}

/// One pass on its way.
struct Pass<'a> {
    engine: &'a Engine,
    sequences: &'a [Vec<u32>],
    taps: &'a Taps<'a>,
    /// `[N, D]`, sequence after sequence.
    residual: Vec<f32>,
    groups: Vec<Group>,
    rotary: RotaryTables,
    tape: Tape,
    progress: &'a dyn PassProgress,
}

impl Pass<'_> {
    /// The first `count` blocks in their order, afterwards kept where `keep` says so. `false`: cancelled.
    fn blocks(&mut self, count: usize, keep: bool) -> Result<bool, EngineError> {
        let engine = self.engine;
        let order: Vec<usize> = (0..count).collect();
        engine.each_block(&order, keep, |layer, block| Ok(self.block(layer, block)))
    }

    /// One block on all groups, then its weights to who wants them. `false`: cancelled.
    fn block(&mut self, layer: usize, weights: &BlockWeights) -> bool {
        let Self { engine, taps, residual, groups, rotary, tape, progress, .. } = self;
        let Architecture { hidden, layers, .. } = &engine.architecture;
        let number = u32::try_from(layer).unwrap_or(u32::MAX);
        let block = Block { layer: number, hidden: *hidden, spec: &layers[layer], weights, rotary, taps };
        let mut rest = residual.as_mut_slice();
        for group in groups.iter() {
            if progress.is_cancelled() {
                return false;
            }
            let (own, after) = rest.split_at_mut(group.rows() * hidden);
            rest = after;
            engine.pool.install(|| block.forward(group, own, tape));
            progress.step(number);
        }
        let weighers: Vec<_> = taps.observers().iter().filter(|o| o.wants_weights()).collect();
        if !weighers.is_empty() {
            let cells: Vec<_> = weights.cells().collect();
            engine.pool.install(|| cells.par_iter().for_each(|cell| weighers.iter().for_each(|o| o.weigh(cell))));
        }
        true
    }

    /// The final norm, in place, and its tap.
    fn finish(&mut self) -> Result<(), EngineError> {
        let Architecture { hidden, layers, final_norm, .. } = &self.engine.architecture;
        let norm: NormWeights = load_norm(&self.engine.model, final_norm, *hidden, *hidden)?;
        let layer = u32::try_from(layers.len()).unwrap_or(u32::MAX);
        let site = Site { tap: Tap::FinalHidden, layer, expert: None, bias: None };
        let mut rest = self.residual.as_mut_slice();
        let mut normed = Vec::new();
        for group in &self.groups {
            let (own, after) = rest.split_at_mut(group.rows() * hidden);
            rest = after;
            self.engine.pool.install(|| {
                normed.resize(own.len(), 0.0);
                normalise(own, &norm, &mut normed);
                own.copy_from_slice(&normed);
                self.taps.hand_out(site, group, Rows::dense(own, *hidden), None);
            });
        }
        Ok(())
    }

    /// Losses per sequence; the rows of the last tokens, which predict nothing, are squeezed out first.
    fn losses(&mut self, resident: bool) -> Result<Vec<Vec<f64>>, EngineError> {
        let hidden = self.engine.architecture.hidden;
        let (mut from, mut to) = (0, 0);
        for sequence in self.sequences {
            let rows = (sequence.len() - 1) * hidden;
            self.residual.copy_within(from..from + rows, to);
            from += rows + hidden;
            to += rows;
        }
        let head = self.engine.head_run(self.engine.head_weights(resident)?);
        let targets = self.sequences.iter().flat_map(|s| s[1..].iter().copied());
        let mut all = self.engine.pool.install(|| head.losses(&self.residual[..to], targets))?.into_iter();
        for _ in &self.groups {
            self.progress.step(u32::try_from(self.engine.architecture.layers.len()).unwrap_or(u32::MAX));
        }
        let losses: Vec<Vec<f64>> = self.sequences.iter().map(|s| all.by_ref().take(s.len() - 1).collect()).collect();
        for (sequence, tokens) in losses.iter().enumerate() {
            if let Some((at, &value)) = tokens.iter().enumerate().find(|(_, x)| !x.is_finite()) {
                return Err(EngineError::Overflow { sequence, position: at + 1, value });
            }
        }
        Ok(losses)
    }
}
