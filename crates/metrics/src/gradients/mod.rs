//! Gradient metrics: watch a reverse pass, and make scores with intervals of it.
//!
//! Of every cell only sums by sequence outlive its layer. While a layer runs, its weight gradients are kept where a metric
//! reads them, and what exchanging the outputs of neighbouring sequences takes.

pub(crate) mod catalogue;
mod cell;
mod demand;
mod exchange;
mod jackknife;
mod memory;
mod output_error;
mod path;
mod sample;
mod scores;
mod state;
mod sums;
mod sweep;

use std::collections::BTreeMap;

use tomo_map::Column;
use tomo_map::stats::Bootstrap;
use tomo_model::Model;
use tomo_model::engine::{CellGradients, EngineError, GradientObserver, Loss, Objective, Span};

pub use path::IntegratedGradients;
pub use sums::{GradientSums, WholeGradient};

use cell::{Plan, Running, Workspace};
use demand::Demand;
use output_error::Numbers;
use scores::Ended;
pub(crate) use scores::{ALONE, NO_PARTNER};
use state::Finished;

use crate::activations::CellShape;
use crate::predicted::{Draws, DrawsError};
use crate::{GradientFormula, Kind, Options, Selected, Share, StateError};

/// Scores the cells of a model by gradients of a text: watches a reverse pass over [`Gradients::objectives`].
///
/// It takes the metrics of a selection that read gradients and leaves the others to [`scan`](crate::scan),
/// [`Activations`](crate::Activations) and [`IntegratedGradients`]. L is the mean loss, in nats, of all scored tokens of all
/// sequences. Scores carry 95 % intervals over the sequences, whose resamples are the same for every cell and metric; a text of
/// one sequence gives none, except to `predicted-kl-*`, whose intervals are over draws.
#[derive(Debug)]
pub struct Gradients {
    selected: Vec<Selected>,
    plan: Plan,
    text: Objective,
    bootstrap: Bootstrap,
    cells: Vec<CellShape>,
    running: BTreeMap<usize, Running>,
    finished: Finished,
    workspace: Workspace,
    /// What of the scan it is to see; all of it where `None`.
    share: Option<Share>,
    /// Parallel to the cells: which of them it is to see.
    wanted: Vec<bool>,
}

impl Gradients {
    /// Ready to watch a reverse pass of `model` over sequences of these lengths, numbered in this order, whose loss is `text`:
    /// that of all tokens, or of some.
    pub fn new(model: &Model, selected: &[Selected], options: &Options, lengths: &[usize], text: &Objective) -> Self {
        let is_path = |s: &Selected| matches!(s.metric.kind, Kind::Gradients { formula: GradientFormula::Path });
        let selected: Vec<Selected> = selected.iter().filter(|s| s.reads_gradients() && !is_path(s)).copied().collect();
        let demand = Demand::of(&selected);
        let numbers = Numbers {
            text: demand.reads_text().then_some(0),
            first_draw: usize::from(demand.reads_text()),
            draws: if demand.reads_draws() { options.draws } else { 0 },
            sequences: lengths.len(),
        };
        let scored = lengths.iter().enumerate().map(|(at, length)| text.count(at, *length)).collect();
        let cells = CellShape::of(model);
        Self {
            plan: Plan {
                demand,
                numbers,
                lengths: lengths.to_vec(),
                scored,
                group: options.group,
                seed: options.seed,
                leaves_out: options.resamples > 0 && lengths.len() > 1,
            },
            selected,
            text: text.clone(),
            bootstrap: Bootstrap::new(lengths.len(), options.resamples, options.seed),
            running: BTreeMap::new(),
            finished: Finished::new(model),
            wanted: vec![true; cells.len()],
            share: None,
            cells,
            workspace: Workspace::default(),
        }
    }

    /// Is a part of the scan from now on, and sees nothing but its share: of a share of sequences, the pass is over those alone,
    /// each with its [number](tomo_model::engine::Input::number).
    #[must_use]
    pub fn of(mut self, share: Share) -> Self {
        self.wanted = share.cells(self.cells.len());
        self.share = Some(share);
        self
    }

    /// What it knows, for [`Gradients::absorb`] of the whole scan.
    ///
    /// # Errors
    /// What it knows cannot be written.
    pub fn state(&self) -> Result<Vec<u8>, StateError> {
        StateError::write(&self.finished)
    }

    /// Takes what the part of the scan knows that had this share.
    ///
    /// # Errors
    /// It is of another scan.
    pub fn absorb(&mut self, state: &[u8], share: &Share) -> Result<(), StateError> {
        self.finished.absorb(StateError::read(state)?, share, self.plan.numbers)
    }

    /// Whether nothing selected reads gradients in this pass.
    pub fn is_empty(&self) -> bool {
        self.selected.is_empty()
    }

    /// What the pass has to differentiate, in this order: the loss of the text where a metric reads it, then every draw, on the
    /// same tokens.
    pub fn objectives(&self) -> Vec<Objective> {
        let Plan { numbers, seed, .. } = &self.plan;
        let text = match (&self.share, &self.text.positions) {
            (Some(Share::Sequences(numbers)), Some(all)) => {
                let own = numbers.iter().map(|number| all.get(*number).cloned().unwrap_or_default());
                Objective { positions: Some(own.collect()), ..self.text.clone() }
            }
            _ => self.text.clone(),
        };
        let drawn = |draw: usize| Objective {
            loss: Loss::Drawn { seed: *seed, draw: draw as u64 },
            positions: text.positions.clone(),
        };
        numbers.text.iter().map(|_| text.clone()).chain((0..numbers.draws).map(drawn)).collect()
    }

    /// What was drawn for a format that `predicted-kl-*` was asked for, of the cells that are done: for intervals, sets and
    /// pairs of cells.
    ///
    /// # Errors
    /// Nothing was drawn, or what was drawn is not finite.
    pub fn draws(&self, format: &str) -> Result<Draws, DrawsError> {
        let ended = self.ended();
        ended.draws(format, &ended.known(format))
    }

    /// One column per metric, in the selection's order. Cells that the pass did not get to are marked
    /// [`tomo_map::Status::NotMeasured`]; cells of experts that no token was sent to, [`tomo_map::Status::Undefined`].
    pub fn finish(self) -> Vec<Column> {
        let ended = self.ended();
        let column = |selected: &Selected| Column::new(selected.info(), ended.scores(selected));
        self.selected.iter().map(column).collect()
    }

    fn ended(&self) -> Ended<'_> {
        Ended {
            plan: &self.plan,
            bootstrap: &self.bootstrap,
            cells: &self.cells,
            done: &self.finished.cells,
            layers_done: &self.finished.layers,
            is_part: self.share.is_some(),
        }
    }

    /// What has to be the same for a pass to go on from another's state.
    fn about(&self) -> String {
        let ids: Vec<String> = self.selected.iter().map(Selected::id).collect();
        let Plan { numbers, lengths, scored, group, seed, leaves_out, .. } = &self.plan;
        let share = &self.share;
        format!("{ids:?} {numbers:?} {lengths:?} {scored:?} {group} {seed} {leaves_out} {share:?}")
    }
}

impl GradientObserver for Gradients {
    fn see(&mut self, seen: &CellGradients<'_>) {
        let Numbers { first_draw, draws, sequences, .. } = self.plan.numbers;
        let renumbered: Vec<Span>;
        let seen = match &self.share {
            None | Some(Share::Cells(_)) => seen,
            Some(share) => {
                let number =
                    |span: &Span| Some(Span { sequence: share.number(span.sequence)?, rows: span.rows.clone() });
                let Some(spans) = seen.spans.iter().map(number).collect() else { return };
                renumbered = spans;
                &CellGradients { spans: &renumbered, ..*seen }
            }
        };
        let is_known = self.wanted.get(seen.cell).copied().unwrap_or(false)
            && seen.spans.iter().all(|span| span.sequence < sequences);
        if !is_known || seen.gradients.len() < first_draw + draws || self.selected.is_empty() {
            return;
        }
        let running = self.running.entry(seen.cell).or_insert_with(|| Running::new(&self.plan));
        running.see(seen, &self.plan, &mut self.workspace);
    }

    fn layer_done(&mut self, layer: u32) {
        let running = std::mem::take(&mut self.running).into_iter();
        self.finished.layer(layer, running.map(|(cell, running)| (cell, running.finish(&self.plan))));
    }

    fn lowest_layer(&self) -> u32 {
        lowest_layer(&self.cells, &self.wanted)
    }

    fn save(&self) -> Vec<u8> {
        self.finished.save(&self.about())
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), EngineError> {
        self.finished.restore(saved, &self.about())?;
        self.running.clear();
        Ok(())
    }
}

/// The lowest layer that holds a wanted cell.
fn lowest_layer(cells: &[CellShape], wanted: &[bool]) -> u32 {
    let wanted = cells.iter().zip(wanted).filter(|(_, wanted)| **wanted);
    wanted.map(|(cell, _)| cell.id.layer).min().unwrap_or(0)
}
