//! How far a comparison is.

use super::change::Round;
use super::plan::Costs;
use crate::engine::pass::PassProgress;

/// Progress in steps of equal work.
pub(super) struct Meter<'a> {
    progress: &'a dyn PassProgress,
    pub(super) costs: &'a Costs,
    /// Done so far.
    pub(super) operations: u64,
    steps: usize,
    total: usize,
}

impl<'a> Meter<'a> {
    pub(super) fn new(progress: &'a dyn PassProgress, costs: &'a Costs, round: &Round) -> Self {
        let total = costs.steps(costs.operations(round));
        progress.start(total);
        Self { progress, costs, operations: 0, steps: 0, total }
    }

    /// So much was done in layer `layer`.
    pub(super) fn advance(&mut self, operations: u64, layer: usize) {
        self.operations += operations;
        while self.steps < self.total && self.operations >= (self.steps as u64 + 1) * self.costs.step() {
            self.progress.step(u32::try_from(layer).unwrap_or(u32::MAX));
            self.steps += 1;
        }
    }

    /// All is done.
    pub(super) fn finish(&mut self, layer: usize) {
        for _ in self.steps..self.total {
            self.progress.step(u32::try_from(layer).unwrap_or(u32::MAX));
        }
        self.steps = self.total;
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.progress.is_cancelled()
    }
}
