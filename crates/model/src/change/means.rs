//! What cells put out on average over a text.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tomo_map::{CellId, Component};

use super::edits::Edit;
use crate::Model;
use crate::engine::{Observer, Seen, Tap};

/// Sums up the outputs of chosen cells while a pass runs over the whole text.
pub struct Means {
    /// By cell: its index in the grid and its sums.
    cells: BTreeMap<CellId, (usize, Mutex<Sums>)>,
    components: Vec<Component>,
    /// Values that wait at most: some sequences run at the same time, and an expert may never see the one that others wait for.
    waiting: u64,
    /// m of all of them together.
    width: u64,
}

/// Sequences come in any order; they are added in theirs, so that a mean has the same bits on every run.
#[derive(Default)]
struct Sums {
    /// Of sequences `..next`, `[m]`.
    sum: Vec<f64>,
    tokens: u64,
    next: usize,
    /// Of later ones.
    waiting: BTreeMap<usize, (Vec<f64>, u64)>,
}

/// The mean of a cell's output.
#[derive(Clone, PartialEq, Debug)]
pub enum MeanOutput {
    /// `[m]`, bias included.
    Row(Arc<[f32]>),
    /// No token came by.
    NoToken,
}

impl Means {
    /// Collects what the cells of `edits` need that are set to their means; `None` where there is none. The pass has to run over
    /// `sequences` sequences.
    pub fn needed(model: &Model, edits: &[(usize, Edit)], sequences: usize) -> Option<Self> {
        let chosen = edits.iter().filter(|(_, edit)| *edit == Edit::Mean).map(|(cell, _)| *cell);
        Some(Self::new(model, chosen, sequences)).filter(|means| !means.cells.is_empty())
    }

    /// Collects the means of cells of the grid, given by index, over `sequences` sequences.
    ///
    /// # Panics
    /// When the model has not so many cells.
    pub fn new(model: &Model, cells: impl IntoIterator<Item = usize>, sequences: usize) -> Self {
        let cells: BTreeMap<_, _> =
            cells.into_iter().map(|at| (model.cells()[at].id, (at, Mutex::default()))).collect();
        let mut components: Vec<Component> = cells.keys().map(|id| id.component).collect();
        components.sort_unstable();
        components.dedup();
        let sequences = sequences as u64;
        let shapes = || cells.iter().map(|(id, (at, _))| (id.expert, model.cells()[*at].out_features));
        let width = shapes().map(|(_, m)| m).sum();
        let waiting =
            shapes().map(|(expert, m)| m * if expert.is_some() { sequences } else { sequences.min(16) }).sum();
        Self { cells, components, waiting, width }
    }

    /// Bytes that the sums take, at most.
    pub fn bytes(&self) -> u64 {
        8 * (self.width + self.waiting)
    }

    /// The mean of cell number `cell`; `None` where it was not asked for. To be asked after the pass.
    pub fn of(&self, cell: usize) -> Option<MeanOutput> {
        let (_, sums) = self.cells.values().find(|(at, _)| *at == cell)?;
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        // Sequences that send no token to an expert leave gaps.
        sums.fold(usize::MAX);
        if sums.tokens == 0 {
            return Some(MeanOutput::NoToken);
        }
        let tokens = sums.tokens as f64;
        Some(MeanOutput::Row(sums.sum.iter().map(|sum| (sum / tokens) as f32).collect()))
    }
}

impl Sums {
    /// Adds what waits, in order: as far as no sequence is missing, and those before `until` whether one is or not.
    fn fold(&mut self, until: usize) {
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > self.next && *first.key() >= until {
                return;
            }
            self.next = first.key() + 1;
            let (sum, tokens) = first.remove();
            self.sum.resize(sum.len(), 0.0);
            self.sum.iter_mut().zip(sum).for_each(|(total, part)| *total += part);
            self.tokens += tokens;
        }
    }
}

impl Observer for Means {
    fn wants(&self, tap: Tap) -> bool {
        matches!(tap, Tap::Output(component) if self.components.contains(&component))
    }

    fn see(&self, seen: &Seen<'_>) {
        let Tap::Output(component) = seen.tap else { return };
        let Some((_, sums)) = self.cells.get(&CellId { layer: seen.layer, component, expert: seen.expert }) else {
            return;
        };
        let mut sum = vec![0.0; seen.rows.cols()];
        for row in seen.rows.iter() {
            sum.iter_mut().zip(row).for_each(|(sum, y)| *sum += f64::from(*y));
        }
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.waiting.insert(seen.sequence, (sum, seen.rows.len() as u64));
        sums.fold(0);
    }
}
