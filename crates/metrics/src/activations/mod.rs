//! Activation metrics: watches a pass, keeps sums by sequence, and makes scores with intervals of them.
//!
//! Sums are kept by sequence and added up in the order of the sequences' numbers when the pass is over, so that no bit
//! depends on the order in which they were seen. What is large (sums by input column) is folded into scores as soon as a
//! layer's cells have been weighed.

mod cell;
mod columns;
mod cost;
mod demand;
mod lanes;
mod layer;
mod salience;
mod scores;
mod sums;
mod sweep;
mod weights;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tomo_map::stats::Bootstrap;
use tomo_map::{CellId, Column};
use tomo_model::Model;
use tomo_model::engine::{CellWeights, Observer, Port, Seen, Tap};

pub use cost::activations_cost;
pub use lanes::Lanes;
pub use sums::{CellFacts, Salience, Sums};

pub(crate) use cell::{score_cell, with_interval};
pub(crate) use columns::{max_over_median, max_over_median_resampled};
pub(crate) use demand::Demand;

pub(crate) use lanes::Energies;
pub(crate) use sweep::{InputDemand, InputSweep, inputs};

use cell::CellScores;
use layer::{Layer, Site};

use crate::runner::locked;
use crate::{Matrix, Options, Selected};

/// Scores the cells of a model by what a pass over a text shows of them: an [`Observer`] of the pass.
///
/// It takes the metrics of a selection that read activations and leaves the others to [`scan`](crate::scan). Every score is
/// the pooled value over all tokens and carries a 95 % interval from a paired bootstrap over the sequences
/// ([`tomo_map::stats::Bootstrap`]); the resampled sequences are the same for every cell and metric. A text of one sequence
/// gives no intervals.
#[derive(Debug)]
pub struct Activations {
    selected: Vec<Selected>,
    options: Options,
    demand: Demand,
    bootstrap: Bootstrap,
    /// Tokens of each sequence.
    lengths: Vec<usize>,
    cells: Vec<CellShape>,
    /// The cells of each site, ascending.
    sites: BTreeMap<(u32, Site), Vec<usize>>,
    /// Experts of each layer.
    experts: Vec<usize>,
    layers: Vec<Mutex<Layer>>,
    /// What the weights gave, parallel to the cells.
    weighed: Vec<Mutex<Option<CellScores>>>,
}

/// What is known of a cell before the pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellShape {
    pub(crate) id: CellId,
    pub(crate) rows: u64,
    pub(crate) cols: u64,
}

impl CellShape {
    /// Of every cell of a model.
    pub(crate) fn of(model: &Model) -> Vec<Self> {
        model.cells().iter().map(|cell| Self { id: cell.id, rows: cell.out_features, cols: cell.in_features }).collect()
    }

    pub(crate) fn site(&self) -> Site {
        (Port::of(self.id.component), self.id.expert)
    }
}

impl Activations {
    /// Ready to watch a pass of `model` over sequences of these lengths, numbered in this order.
    pub fn new(model: &Model, selected: &[Selected], options: &Options, sequence_lengths: &[usize]) -> Self {
        let selected: Vec<Selected> = selected.iter().filter(|s| s.reads_activations()).copied().collect();
        let cells = CellShape::of(model);
        let count = model.grid().layers as usize;
        let (mut sites, mut experts) = (BTreeMap::new(), vec![0; count]);
        for (at, cell) in cells.iter().enumerate() {
            sites.entry((cell.id.layer, cell.site())).or_insert_with(Vec::new).push(at);
            if let (Some(expert), Some(known)) = (cell.id.expert, experts.get_mut(cell.id.layer as usize)) {
                *known = (*known).max(expert as usize + 1);
            }
        }
        Self {
            demand: Demand::of(&selected),
            bootstrap: Bootstrap::new(sequence_lengths.len(), options.resamples, options.seed),
            selected,
            options: options.clone(),
            lengths: sequence_lengths.to_vec(),
            sites,
            experts,
            layers: (0..count).map(|_| Mutex::default()).collect(),
            weighed: cells.iter().map(|_| Mutex::new(None)).collect(),
            cells,
        }
    }

    /// Whether nothing selected reads activations: no pass is needed.
    pub fn is_empty(&self) -> bool {
        self.selected.is_empty()
    }

    /// One column per metric, in the selection's order. Cells that the pass did not get to are marked
    /// [`tomo_map::Status::NotMeasured`]; cells of experts that no token was sent to, [`tomo_map::Status::Undefined`].
    pub fn finish(self) -> Vec<Column> {
        let layers = self.layers.into_iter().map(|layer| layer.into_inner().unwrap_or_else(PoisonError::into_inner));
        let weighed = self.weighed.into_iter().map(|cell| cell.into_inner().unwrap_or_else(PoisonError::into_inner));
        let ended = scores::Ended {
            selected: &self.selected,
            bootstrap: &self.bootstrap,
            lengths: &self.lengths,
            cells: &self.cells,
            experts: &self.experts,
            sites: &self.sites,
            layers: layers.collect(),
            weighed: weighed.collect(),
        };
        let rows = ended.scores();
        let column = |(at, selected): (usize, &Selected)| Column {
            info: selected.info(),
            scores: rows.iter().map(|row| row[at].clone()).collect(),
            measurement: None,
        };
        self.selected.iter().enumerate().map(column).collect()
    }

    fn layer(&self, layer: u32) -> Option<MutexGuard<'_, Layer>> {
        self.layers.get(layer as usize).map(locked)
    }
}

impl Observer for Activations {
    fn wants(&self, tap: Tap) -> bool {
        self.demand.wants(tap)
    }

    fn see(&self, seen: &Seen<'_>) {
        let sequences = self.lengths.len();
        if seen.sequence >= sequences || !self.wants(seen.tap) {
            return;
        }
        // Sums first, then the lock: sweeps of several threads run side by side.
        match seen.tap {
            // A mixture's router reads what no cell reads.
            Tap::Input(port) if !self.sites.contains_key(&(seen.layer, (port, seen.expert))) => {}
            Tap::Input(port) => {
                let sweep = inputs(seen.rows, self.demand.sweep());
                if let Some(mut layer) = self.layer(seen.layer) {
                    layer.add_input((port, seen.expert), seen.sequence, sequences, sweep);
                }
            }
            Tap::Output(component) => {
                let norms2 = sweep::norms2_without(seen.rows, seen.bias);
                if let Some(mut layer) = self.layer(seen.layer) {
                    layer.add_output(component, seen.expert, seen.sequence, sequences, norms2);
                }
            }
            Tap::AttentionAdd | Tap::MlpAdd | Tap::ResidualOut => {
                let Some(against) = seen.against else { return };
                let comparison = sweep::compare(seen.rows, against);
                if let Some(mut layer) = self.layer(seen.layer) {
                    let of = match seen.tap {
                        Tap::AttentionAdd => 0,
                        Tap::MlpAdd => 1,
                        _ => 2,
                    };
                    let compared = &mut layer.compared[of];
                    compared.resize(sequences, None);
                    compared[seen.sequence] = Some(comparison);
                }
            }
            Tap::ResidualIn | Tap::Routing | Tap::FinalHidden => {}
        }
    }

    fn wants_weights(&self) -> bool {
        self.demand.waits_for_weights()
    }

    fn weigh(&self, weights: &CellWeights<'_>) {
        let (Some(cell), Some(place)) = (self.cells.get(weights.cell), self.weighed.get(weights.cell)) else { return };
        let site = cell.site();
        // Copied out, and the lock given back: what follows runs on all threads, and a thread that holds a lock must not
        // wait for others.
        let energies = self.layer(cell.id.layer).and_then(|layer| layer.energies(site, weights.cols));
        let matrix =
            Matrix { rows: weights.values.len() / weights.cols.max(1), cols: weights.cols, values: weights.values };
        let of_site = self.sites.get(&(cell.id.layer, site)).map_or(&[][..], Vec::as_slice);
        let is_first = of_site.first() == Some(&weights.cell);
        let scores = score_cell(
            matrix,
            energies.as_ref(),
            &self.selected,
            &self.demand,
            &self.bootstrap,
            &self.options,
            is_first,
        );
        *locked(place) = Some(scores);
        if let Some(mut layer) = self.layer(cell.id.layer) {
            layer.weighed(site, of_site.len());
        }
    }
}
