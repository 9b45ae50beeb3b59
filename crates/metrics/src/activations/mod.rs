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
mod state;
mod sums;
mod sweep;
mod weights;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tomo_map::stats::Bootstrap;
use tomo_map::{CellId, Column};
use tomo_model::Model;
use tomo_model::engine::{CellWeights, Observer, Port, Seen, Tap, Until};

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
use crate::{Matrix, Options, Selected, Share, StateError};

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
    /// What of the scan it is to see; all of it where `None`.
    share: Option<Share>,
    /// Parallel to the cells: which of them it is to weigh.
    wanted: Vec<bool>,
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
            share: None,
            wanted: vec![true; cells.len()],
            cells,
        }
    }

    /// Is a part of the scan from now on, and sees nothing but its share: of a share of sequences, the pass is over those alone, in
    /// the order of their numbers; the weights wait until all parts are together.
    #[must_use]
    pub fn of(mut self, share: Share) -> Self {
        self.wanted = share.cells(self.cells.len());
        self.share = Some(share);
        self
    }

    /// Where a pass may end: after the last layer that it is to see.
    pub fn until(&self) -> Until {
        let wanted = self.cells.iter().zip(&self.wanted).filter(|(_, wanted)| **wanted);
        match wanted.map(|(cell, _)| cell.id.layer).max() {
            Some(last) if (last as usize) + 1 < self.layers.len() => Until::Layer(last),
            _ => Until::LastBlock,
        }
    }

    /// Cells whose weights are still needed when everything was seen, for [`Activations::weigh_cell`].
    pub fn lacking_weights(&self) -> Vec<usize> {
        if !self.demand.waits_for_weights() {
            return Vec::new();
        }
        let lacking: Vec<usize> = (0..self.cells.len()).filter(|at| locked(&self.weighed[*at]).is_none()).collect();
        if self.demand.weights {
            return lacking;
        }
        // Inputs are scored when their cells are weighed; no weight is looked at.
        for at in lacking {
            self.weigh_cell(at, usize::try_from(self.cells[at].cols).unwrap_or(usize::MAX), &[]);
        }
        Vec::new()
    }

    /// What it knows, for [`Activations::absorb`] of the whole scan.
    ///
    /// # Errors
    /// What it knows cannot be written.
    pub fn state(&self) -> Result<Vec<u8>, StateError> {
        state::write(self)
    }

    /// Takes what the part of the scan knows that had this share. Layers that several parts have seen are the same in all of them.
    ///
    /// # Errors
    /// It is of another scan.
    pub fn absorb(&mut self, state: &[u8], share: &Share) -> Result<(), StateError> {
        state::absorb(self, state, share)
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
            wanted: &self.wanted,
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

    /// Whether a wanted cell is in this layer.
    fn wants_layer(&self, layer: u32) -> bool {
        match &self.share {
            Some(Share::Cells(cells)) => cells.iter().any(|at| self.cells[*at].id.layer == layer),
            Some(Share::Sequences(_)) | None => true,
        }
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
        let Some(sequence) = self.share.as_ref().map_or(Some(seen.sequence), |share| share.number(seen.sequence))
        else {
            return;
        };
        if sequence >= sequences || !self.wants(seen.tap) || !self.wants_layer(seen.layer) {
            return;
        }
        // Sums first, then the lock: sweeps of several threads run side by side.
        match seen.tap {
            // A mixture's router reads what no cell reads.
            Tap::Input(port) if !self.sites.contains_key(&(seen.layer, (port, seen.expert))) => {}
            Tap::Input(port) => {
                let sweep = inputs(seen.rows, self.demand.sweep());
                if let Some(mut layer) = self.layer(seen.layer) {
                    layer.add_input((port, seen.expert), sequence, sequences, sweep);
                }
            }
            Tap::Output(component) => {
                let norms2 = sweep::norms2_without(seen.rows, seen.bias);
                if let Some(mut layer) = self.layer(seen.layer) {
                    layer.add_output(component, seen.expert, sequence, sequences, norms2);
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
                    compared[sequence] = Some(comparison);
                }
            }
            Tap::ResidualIn | Tap::Routing | Tap::FinalHidden => {}
        }
    }

    fn wants_weights(&self) -> bool {
        self.demand.waits_for_weights() && !matches!(self.share, Some(Share::Sequences(_)))
    }

    fn weigh(&self, weights: &CellWeights<'_>) {
        self.weigh_cell(weights.cell, weights.cols, weights.values);
    }
}

impl Activations {
    /// Scores what takes the weights of cell `at`, row-major `[m, n]` with n = `cols`, when its inputs on all sequences are known.
    pub fn weigh_cell(&self, at: usize, cols: usize, values: &[f32]) {
        let (Some(cell), Some(place)) = (self.cells.get(at), self.weighed.get(at)) else { return };
        if !self.wanted[at] {
            return;
        }
        let site = cell.site();
        // Copied out, and the lock given back: what follows runs on all threads, and a thread that holds a lock must not
        // wait for others.
        let energies = self.layer(cell.id.layer).and_then(|layer| layer.energies(site, cols));
        let matrix = Matrix { rows: values.len() / cols.max(1), cols, values };
        let of_site = self.sites.get(&(cell.id.layer, site)).map_or(&[][..], Vec::as_slice);
        let wanted = || of_site.iter().filter(|cell| self.wanted[**cell]);
        let is_first = wanted().next() == Some(&at);
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
            layer.weighed(site, wanted().count());
        }
    }
}
