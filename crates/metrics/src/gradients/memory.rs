//! What watching takes.

use std::mem::size_of;

use super::Gradients;
use super::cell::Plan;
use super::output_error::{Numbers, TILE_ROWS};
use super::sample::{LeftOut, SAMPLE};
use super::sums::GradientSums;
use crate::activations::CellShape;

impl Gradients {
    /// Bytes that are kept at the peak of a pass: of the layer that runs, what is left of those before, and what a cell takes
    /// while it is looked at. An upper estimate for dense layers; of mixtures every expert counts as seen by every sequence.
    pub fn memory_bytes(&self) -> u64 {
        let mut layers = vec![0_u64; self.finished.layers.len()];
        for cell in &self.cells {
            if let Some(bytes) = layers.get_mut(cell.id.layer as usize) {
                *bytes += self.plan.running_bytes(cell);
            }
        }
        let kept = self.cells.len() as u64 * self.plan.done_bytes();
        // Saving copies what is kept.
        2 * kept + layers.into_iter().max().unwrap_or(0) + self.plan.workspace_bytes(&self.cells)
    }
}

impl Plan {
    /// Of one cell while its layer runs.
    fn running_bytes(&self, cell: &CellShape) -> u64 {
        let (numel, rows) = (cell.rows.saturating_mul(cell.cols), cell.rows);
        let sequences = self.lengths.len() as u64;
        let mut bytes = 0;
        if self.demand.whole && self.numbers.text.is_some() {
            bytes += 4 * numel;
            if self.leaves_out {
                bytes += numel.min(SAMPLE as u64) * (4 * sequences + 24);
            }
        }
        if self.demand.sums.mean {
            bytes += 16 * rows * sequences;
        }
        if self.demand.sums.resample && cell.id.expert.is_none() {
            let longest = self.lengths.iter().copied().max().unwrap_or(0);
            bytes += 4 * rows * (longest + self.lengths.first().copied().unwrap_or(0)) as u64;
        }
        bytes
    }

    /// What is left of one cell.
    fn done_bytes(&self) -> u64 {
        let Numbers { draws, sequences, .. } = self.numbers;
        let format = |by_text: bool, by_draws: bool| usize::from(by_text) + 2 * draws * usize::from(by_draws);
        let numbers: usize = self.demand.formats.iter().map(|weighed| format(weighed.by_text, weighed.by_draws)).sum();
        (sequences * (8 * numbers + size_of::<GradientSums>() + size_of::<LeftOut>())) as u64
    }

    /// What cells take one after the other.
    fn workspace_bytes(&self, cells: &[CellShape]) -> u64 {
        let largest = cells.iter().map(|cell| cell.rows.saturating_mul(cell.cols)).max().unwrap_or(0);
        let widest = cells.iter().map(|cell| cell.rows).max().unwrap_or(0);
        let tokens: usize = self.lengths.iter().sum();
        let by_sequence = self.demand.sums.squares || (self.demand.whole && self.leaves_out);
        let changes = self.demand.formats.len().min(2) as u64;
        let outputs = if changes > 0 { widest * TILE_ROWS.min(tokens) as u64 } else { 0 };
        4 * (largest * (changes + u64::from(by_sequence)) + outputs)
    }
}
