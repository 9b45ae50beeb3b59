//! A comparison on its way through the blocks.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::change::{Change, OutputChange, Round, Variant};
use super::meter::Meter;
use super::plan::ComparePlan;
use super::saved::Saver;
use crate::engine::block::{Block, Edit, Edits, RotaryTables, Tape};
use crate::engine::buffer::Buffer;
use crate::engine::error::EngineError;
use crate::engine::memory::GROUP_ROWS;
use crate::engine::pass::{Embedded, Engine, PassProgress, groups};
use crate::engine::resume::Resume;
use crate::engine::tap::{CellWeights, Rows};
use crate::engine::taps::{Group, Taps};
use crate::engine::weights::BlockWeights;

/// The original and its variants in one round.
pub(super) struct Comparison<'a> {
    pub(super) engine: &'a Engine,
    pub(super) sequences: &'a [Vec<u32>],
    pub(super) variants: &'a [Variant],
    pub(super) which: &'a Round,
    pub(super) resident: bool,
    /// Sequences that the original runs on: those that are measured, then partners that are not.
    carried: Vec<usize>,
    /// Groups of these: first those that are measured.
    groups: Vec<Group>,
    measured_groups: usize,
    /// Tokens that are measured.
    pub(super) rows: usize,
    /// Variants that differ, by the first layer that does; those before `joined` have joined.
    pub(super) order: Vec<Member>,
    pub(super) joined: usize,
    /// The original's residual stream, `[N, D]`.
    pub(super) residual: Vec<f32>,
    /// That of the variants that have joined, in their order, `[rows, D]` each.
    pub(super) stream: Buffer,
    rotary: RotaryTables,
    /// What the original left of each group in the block that runs, where a variant needs it.
    tapes: Vec<Tape>,
    spare: Tape,
    pub(super) meter: Meter<'a>,
    pub(super) saver: Saver,
}

/// A variant that differs from the original.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) first: usize,
    /// Its number.
    pub(super) variant: usize,
    /// The variant that it leaves at `first`, where it does not leave the original.
    pub(super) branch: Option<usize>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        sequences: &'a [Vec<u32>],
        variants: &'a [Variant],
        which: &'a Round,
        plan: &'a ComparePlan,
        (resume, progress): (Option<&Resume>, &'a dyn PassProgress),
    ) -> Result<Self, EngineError> {
        let mut carried = which.sequences.clone();
        if which.variants.iter().any(|v| variants[*v].resamples()) {
            let partners = which.sequences.iter().map(|s| (s + 1) % sequences.len());
            carried.extend(partners.filter(|p| !which.sequences.contains(p)));
        }
        let length = |s: &usize| sequences[*s].len();
        let (measured, partners) = carried.split_at(which.sequences.len());
        let mut all = groups(measured.iter().map(length), GROUP_ROWS);
        let measured_groups = all.len();
        all.extend(groups(partners.iter().map(length), GROUP_ROWS));
        let member = |&variant: &usize| {
            let of = &variants[variant];
            let branch = of.branch.map(|branch| branch.of).filter(|of| which.variants.contains(of));
            Some(Member { first: of.starts_at(&engine.model, &which.variants)?, variant, branch })
        };
        let mut order: Vec<Member> = which.variants.iter().filter_map(member).collect();
        order.sort_by_key(|member| (member.first, member.variant));
        let embedded = carried.iter().flat_map(|s| {
            let token = |(position, token): (usize, &u32)| Embedded { position, token: *token, blend: None };
            sequences[*s].iter().enumerate().map(token)
        });
        Ok(Self {
            engine,
            sequences,
            variants,
            which,
            resident: plan.resident,
            rows: measured.iter().map(length).sum(),
            residual: engine.pool.install(|| engine.embed(&embedded.collect::<Vec<_>>()))?,
            rotary: engine.rotary_tables(carried.iter().map(length)),
            carried,
            groups: all,
            measured_groups,
            order,
            joined: 0,
            stream: Buffer::default(),
            tapes: Vec::new(),
            spare: Tape::default(),
            meter: Meter::new(progress, &plan.costs, which),
            saver: Saver::new(resume, &format!("{which:?}"), engine.options.save_every),
        })
    }

    /// Every block from `first` on. `false`: cancelled.
    pub(super) fn blocks(&mut self, first: usize) -> Result<bool, EngineError> {
        let engine = self.engine;
        self.stream.room(self.order.len() * self.rows * engine.architecture.hidden);
        let order: Vec<usize> = (first..engine.architecture.layers.len()).collect();
        let done = engine.each_block(&order, self.resident, |layer, weights| self.block(layer, weights))?;
        self.tapes = Vec::new();
        self.spare = Tape::default();
        Ok(done)
    }

    fn block(&mut self, layer: usize, weights: &BlockWeights) -> Result<bool, EngineError> {
        let engine = self.engine;
        let (taps, rotary) = (Taps::new(&[]), std::mem::take(&mut self.rotary));
        let block = Block {
            layer: u32::try_from(layer).unwrap_or(u32::MAX),
            hidden: engine.architecture.hidden,
            spec: &engine.architecture.layers[layer],
            weights,
            rotary: &rotary,
            taps: &taps,
        };
        let model = &engine.model;
        let is_here = |cell: usize| model.cells().get(cell).is_some_and(|c| c.id.layer as usize == layer);
        self.branch_off(layer);
        let changes = |at: &usize| {
            let member = self.order[*at];
            let branches = member.branch.is_some() && member.first == layer;
            branches || self.variants[member.variant].changes.iter().any(|(c, _)| is_here(*c))
        };
        // Below the layer at which a branch begins it is another variant.
        let runs = |at: &usize| self.order[*at].first <= layer;
        let changed: Vec<usize> = (0..self.order.len()).filter(runs).filter(changes).collect();
        let done = self.unchanged(layer, &block, &changed)
            && self.original(layer, &block, !changed.is_empty())
            && self.changed(layer, &block, &changed)?;
        self.joined = self.order.iter().filter(|member| member.first <= layer).count();
        self.rotary = rotary;
        if done {
            self.leave_block(layer + 1)?;
        }
        Ok(done)
    }

    /// Gives the variants that begin as branches at this block what the others have before it.
    fn branch_off(&mut self, layer: usize) {
        let size = self.rows * self.engine.architecture.hidden;
        for at in 0..self.order.len() {
            let Member { first, branch: Some(of), .. } = self.order[at] else { continue };
            if first != layer {
                continue;
            }
            let stream = self.stream.room(self.order.len() * size);
            match self.order[..self.joined].iter().position(|member| member.variant == of) {
                Some(other) => stream.copy_within(other * size..(other + 1) * size, at * size),
                // The other is still the original.
                None => stream[at * size..(at + 1) * size].copy_from_slice(&self.residual[..size]),
            }
        }
    }

    /// Variants that have joined and have no change in this block, packed into full groups.
    fn unchanged(&mut self, layer: usize, block: &Block<'_>, changed: &[usize]) -> bool {
        let (rows, hidden) = (self.rows, block.hidden);
        let lengths: Vec<usize> = self.which.sequences.iter().map(|s| self.sequences[*s].len()).collect();
        let stops = changed.iter().copied().filter(|at| *at < self.joined).chain([self.joined]);
        let mut first = 0;
        for stop in stops {
            let own = std::iter::repeat_n(&lengths, stop - first).flatten().copied();
            let mut rest = &mut self.stream.room(stop * rows * hidden)[first * rows * hidden..];
            for group in groups(own, GROUP_ROWS) {
                if self.meter.is_cancelled() {
                    return false;
                }
                let (own, after) = rest.split_at_mut(group.rows() * hidden);
                rest = after;
                self.engine.pool.install(|| block.forward(&group, own, &mut self.spare));
                self.meter.advance(group.rows() as u64 * self.meter.costs.layer(layer), layer);
            }
            first = stop + 1;
        }
        true
    }

    /// The original, with tapes where somebody `needs` them.
    fn original(&mut self, layer: usize, block: &Block<'_>, needs: bool) -> bool {
        if needs {
            self.tapes.resize_with(self.groups.len(), Tape::kept);
        }
        let mut rest = self.residual.as_mut_slice();
        for (at, group) in self.groups.iter().enumerate() {
            if self.meter.is_cancelled() {
                return false;
            }
            let (own, after) = rest.split_at_mut(group.rows() * block.hidden);
            rest = after;
            let tape = if needs { &mut self.tapes[at] } else { &mut self.spare };
            self.engine.pool.install(|| block.forward(group, own, tape));
            self.meter.advance(group.rows() as u64 * self.meter.costs.layer(layer), layer);
        }
        true
    }

    /// Variants with a change in this block.
    fn changed(&mut self, layer: usize, block: &Block<'_>, changed: &[usize]) -> Result<bool, EngineError> {
        let cells: Vec<CellWeights<'_>> = block.weights.cells().collect();
        let values = |cell: usize| cells.iter().find(|c| c.cell == cell).map_or(0, |c| c.values.len());
        let most: usize = cells.iter().map(|c| c.values.len()).sum();
        let mut rest = changed;
        while !rest.is_empty() {
            // As many as rewrite no more weights than the block has.
            let mut sum = 0;
            let rewritten = |at: &usize| -> usize {
                let changes = self.variants[self.order[*at].variant].changes.iter();
                changes.filter(|(_, change)| matches!(change, Change::Weights(_))).map(|(cell, _)| values(*cell)).sum()
            };
            let fits = |at: &&usize| {
                sum += rewritten(at);
                sum <= most
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (batch, after) = rest.split_at(count);
            rest = after;
            let weights: Vec<Rewritten> = self.engine.pool.install(|| {
                batch.par_iter().with_max_len(1).map(|at| self.rewrite(*at, &cells)).collect::<Result<_, _>>()
            })?;
            for (at, weights) in batch.iter().zip(&weights) {
                if !self.member(layer, block, *at, weights) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The weights that a variant has in place of the block's.
    fn rewrite(&self, at: usize, cells: &[CellWeights<'_>]) -> Result<Rewritten, EngineError> {
        let mut all = Vec::new();
        for (cell, change) in &self.variants[self.order[at].variant].changes {
            let (Change::Weights(rewrite), Some(weights)) = (change, cells.iter().find(|c| c.cell == *cell)) else {
                continue;
            };
            let made = match rewrite.kept(weights)? {
                Some(kept) => kept,
                None => {
                    let mut out = vec![0.0; weights.values.len()];
                    rewrite.rewrite(weights, &mut out)?;
                    Arc::new(out)
                }
            };
            all.push((*cell, made));
        }
        Ok(all)
    }

    /// One variant with changes in this block. `false`: cancelled.
    fn member(&mut self, layer: usize, block: &Block<'_>, at: usize, weights: &Rewritten) -> bool {
        let (hidden, rows, member) = (block.hidden, self.rows, self.order[at]);
        // A branch has a stream of its own by now.
        let joins = at >= self.joined && member.branch.is_none();
        let cost = match joins {
            true => self.meter.costs.start(member.variant),
            false => self.meter.costs.layer(layer),
        };
        // Not through `self`, whose tapes are being read.
        let (mut stream, mut spare) = (std::mem::take(&mut self.stream), std::mem::take(&mut self.spare));
        let mut rest = &mut stream.room((at + 1) * rows * hidden)[at * rows * hidden..];
        let mut done = true;
        for number in 0..self.measured_groups {
            done = !self.meter.is_cancelled();
            if !done {
                break;
            }
            let group = &self.groups[number];
            let (own, after) = rest.split_at_mut(group.rows() * hidden);
            rest = after;
            let base = joins.then(|| &self.tapes[number]);
            if let Some(base) = base {
                own.copy_from_slice(&base.before[..own.len()]);
            }
            let edits = self.edits(block, member.variant, number, weights);
            self.engine.pool.install(|| block.changed(group, base, &edits, own, &mut spare));
            self.meter.advance(group.rows() as u64 * cost, layer);
        }
        (self.stream, self.spare) = (stream, spare);
        done
    }

    /// What a variant changes in this block on the rows of a group.
    fn edits<'s>(&'s self, block: &Block<'_>, variant: usize, group: usize, weights: &'s Rewritten) -> Edits<'s> {
        let edit = |(cell, change): &'s (usize, Change)| {
            let source = self.engine.model.cells().get(*cell).filter(|c| c.id.layer == block.layer)?;
            let edit = match change {
                Change::Weights(_) => Edit::Weights(&weights.iter().find(|(at, _)| at == cell)?.1),
                Change::Output(OutputChange::Zero) => Edit::Zero,
                Change::Output(OutputChange::Constant(row)) => Edit::Constant(row),
                Change::Output(OutputChange::Resample) => {
                    let before = self.groups[..group].iter().map(|g| g.spans().len()).sum::<usize>();
                    let own = before..before + self.groups[group].spans().len();
                    let partner = |at: usize| {
                        let partner = (self.carried[at] + 1) % self.sequences.len();
                        let (group, rows) = self.place(partner)?;
                        let all =
                            block.kept_output(&self.tapes[group], source.id.component, self.groups[group].rows())?;
                        let count = rows.len().min(self.sequences[self.carried[at]].len());
                        Some(all.slice(rows.start, count))
                    };
                    Edit::Rows(own.map(partner).collect::<Option<Vec<Rows<'_>>>>()?)
                }
            };
            Some((*cell, edit))
        };
        Edits(self.variants[variant].changes.iter().filter_map(edit).collect())
    }

    /// Where a carried sequence is: its group and its rows there.
    fn place(&self, sequence: usize) -> Option<(usize, Range<usize>)> {
        let at = self.carried.iter().position(|s| *s == sequence)?;
        let spans = self.groups.iter().enumerate().flat_map(|(g, group)| group.spans().iter().map(move |s| (g, s)));
        spans.map(|(group, span)| (group, span.rows.clone())).nth(at)
    }
}

/// Weights by index of the cell.
type Rewritten = Vec<(usize, Arc<Vec<f32>>)>;
