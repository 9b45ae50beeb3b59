//! What activation metrics add to a pass.

use std::mem::size_of;

use tomo_map::Score;
use tomo_model::Model;

use super::layer::Output;
use super::{Activations, Demand, InputSweep, Lanes, Sums};
use crate::{Cost, Options, Selected, Share};

/// Seconds per input value for its square; then for sums by column, and for the other powers.
const INPUT: f64 = 0.3e-9;
const COLUMN: f64 = 0.15e-9;
const MOMENTS: f64 = 0.3e-9;
/// Seconds per output value, and per pair of values of the residual stream.
const OUTPUT: f64 = 0.25e-9;
const RESIDUAL: f64 = 0.5e-9;
/// Seconds per weight for sums by column, for the search of outliers, and for each format.
const WEIGHT: f64 = 0.4e-9;
const OUTLIER: f64 = 0.3e-9;
const FORMAT: f64 = 0.8e-9;
/// Seconds per input column and resample: for each sequence, and for what is done with the sum.
const DRAW: f64 = 0.04e-9;
const RESAMPLE: f64 = 0.8e-9;

/// Estimates what [`Activations`] adds to a pass of `model` over sequences of these lengths on `threads` threads: no bytes of
/// checkpoint, memory as [`Activations::memory_bytes`], wall time. Good to a factor of two.
pub fn activations_cost(
    model: &Model,
    selected: &[Selected],
    options: &Options,
    sequence_lengths: &[usize],
    threads: usize,
) -> Cost {
    // Drawing the resamples is what a watcher costs before the pass; the estimate can do without.
    let few = Options { resamples: 0, ..options.clone() };
    let watcher = Activations::new(model, selected, &few, sequence_lengths);
    let resamples = if sequence_lengths.len() < 2 { 0 } else { options.resamples };
    let threads = threads.max(1);
    let seconds = watcher.seconds(resamples) / threads as f64;
    Cost { bytes_read: 0, peak_bytes: watcher.bytes(resamples, threads), seconds }
}

impl Activations {
    /// Bytes that are kept at the peak of a pass on `threads` threads: sums of the layer in flight, what is left of the
    /// layers before, and what weighing a layer's cells takes. An upper estimate for dense layers; of mixtures every expert
    /// counts as seen by every sequence.
    pub fn memory_bytes(&self, threads: usize) -> u64 {
        self.bytes(self.bootstrap.resamples(), threads)
    }

    fn bytes(&self, resamples: usize, threads: usize) -> u64 {
        let (sequences, tokens) = (self.lengths.len() as u64, self.lengths.iter().sum::<usize>() as u64);
        let sweep = self.demand.sweep();
        let per_column = if sweep.columns { 8 * sequences } else { 0 };
        let mut layers = vec![0_u64; self.layers.len()];
        let mut kept = 2 * resamples as u64 * sequences;
        for ((layer, _), cells) in &self.sites {
            let cols = cells.first().map_or(0, |cell| self.cells[*cell].cols);
            let rows = if sweep.norms { 8 * tokens } else { 0 };
            if let Some(bytes) = layers.get_mut(*layer as usize) {
                // Norms of outputs wait for those of the inputs.
                *bytes += per_column * cols + rows * (1 + cells.len() as u64);
            }
            kept += sequences * size_of::<Option<InputSweep>>() as u64;
        }
        let per_cell =
            sequences * size_of::<Option<Output>>() as u64 + (self.selected.len() * size_of::<Score>()) as u64;
        kept += self.cells.len() as u64 * per_cell;
        let widest = self.cells.iter().map(|cell| cell.cols).max().unwrap_or(0);
        let resampled = if resamples > 0 { 4 * Lanes::WIDTH as u64 } else { 0 };
        let weighing = if self.demand.waits_for_weights() {
            threads as u64 * widest * (per_column * 3 / 2 + resampled + 64 * 16)
        } else {
            0
        };
        let finishing = (threads * resamples * size_of::<Sums>()) as u64;
        // Sums of some of the sequences wait for those of the others.
        let in_flight = match self.share {
            Some(Share::Sequences(_)) => layers.into_iter().sum(),
            _ => layers.into_iter().max().unwrap_or(0),
        };
        kept + in_flight + weighing.max(finishing)
    }

    /// Processor time of everything.
    fn seconds(&self, resamples: usize) -> f64 {
        let tokens = self.lengths.iter().sum::<usize>() as f64;
        let Demand { inputs, outputs, gains, writes, blocks, weights, outliers, salience, errors, .. } = self.demand;
        let when = |wanted: bool, seconds: f64| if wanted { seconds } else { 0.0 };
        let per_input = inputs.map_or(0.0, |sweep| INPUT + when(sweep.columns, COLUMN) + when(sweep.moments, MOMENTS));
        let per_weight = when(weights, WEIGHT) + when(outliers, OUTLIER) + FORMAT * errors as f64;
        let per_draw = resamples as f64 * (RESAMPLE + DRAW * self.lengths.len() as f64);
        let mut seconds = 0.0;
        for ((layer, _), cells) in &self.sites {
            let experts = self.experts.get(*layer as usize).copied().unwrap_or(0).max(1) as f64;
            for (at, cell) in cells.iter().map(|cell| &self.cells[*cell]).enumerate() {
                let (rows, cols) = (cell.rows as f64, cell.cols as f64);
                // Two experts per token is a guess; mixtures use one to eight.
                let share = if cell.id.expert.is_some() { 2.0 / experts } else { 1.0 };
                seconds += when(outputs || gains, OUTPUT * rows * tokens * share) + per_weight * rows * cols;
                seconds += when(salience, cols * per_draw) + when(outliers, cols * per_draw);
                if at == 0 {
                    seconds += per_input * cols * tokens * share;
                    seconds += when(self.demand.input_order, cols * per_draw);
                }
            }
        }
        let hidden = self.cells.first().map_or(0.0, |cell| cell.cols as f64);
        let residual = when(writes, 2.0) + when(blocks, 1.0);
        seconds + residual * RESIDUAL * hidden * tokens * self.layers.len() as f64
    }
}
