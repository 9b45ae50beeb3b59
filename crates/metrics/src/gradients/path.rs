//! Integrated gradients, from a pass of their own.

use std::collections::BTreeMap;

use tomo_map::stats::Bootstrap;
use tomo_map::{Column, Score, Status};
use tomo_model::Model;
use tomo_model::engine::{Blend, CellGradients, EngineError, GradientObserver, Input, Objective, Rows};

use super::cell::Done;
use super::exchange::Exchange;
use super::output_error::Numbers;
use super::scores::{UNFINISHED, has_partner};
use super::state::Finished;
use super::sums::GradientSums;
use crate::activations::{CellShape, with_interval};
use crate::{GradientFormula, Kind, Options, Selected, Share, StateError};

/// Scores cells by gradients along the way from another sequence's embeddings to a sequence's own (`ig`): watches a reverse
/// pass over [`IntegratedGradients::inputs`] with [`IntegratedGradients::objective`] alone.
#[derive(Debug)]
pub struct IntegratedGradients {
    selected: Option<Selected>,
    steps: usize,
    seed: u64,
    /// Tokens of each sequence, and scored ones.
    lengths: Vec<usize>,
    scored: Vec<usize>,
    text: Objective,
    bootstrap: Bootstrap,
    cells: Vec<CellShape>,
    running: BTreeMap<usize, Walking>,
    /// Of the sums it is [`GradientSums::resample`] that is known.
    finished: Finished,
    /// Parallel to the cells: which of them it is to see.
    wanted: Vec<bool>,
}

/// One cell while its layer runs.
#[derive(Clone, Debug, Default)]
struct Walking {
    /// Sum of the gradients of the sequence that is under way, `[T, m]`.
    gradient: Vec<f32>,
    exchange: Exchange,
    sums: Vec<GradientSums>,
}

impl IntegratedGradients {
    /// Ready to watch; `steps` of the options is the number of points on the way, its end included.
    pub fn new(model: &Model, selected: &[Selected], options: &Options, lengths: &[usize], text: &Objective) -> Self {
        let is_path = |s: &&Selected| matches!(s.metric.kind, Kind::Gradients { formula: GradientFormula::Path });
        let cells = CellShape::of(model);
        Self {
            selected: selected.iter().find(is_path).copied(),
            steps: options.steps.max(1),
            seed: options.seed,
            lengths: lengths.to_vec(),
            scored: lengths.iter().enumerate().map(|(at, length)| text.count(at, *length)).collect(),
            text: text.clone(),
            bootstrap: Bootstrap::new(lengths.len(), options.resamples, options.seed),
            running: BTreeMap::new(),
            finished: Finished::new(model),
            wanted: vec![true; cells.len()],
            cells,
        }
    }

    /// Is a part of the scan from now on, and sees nothing but its share of the cells. What starts from other sequences cannot be
    /// cut along them ([`Selected::along`]).
    #[must_use]
    pub fn of(mut self, share: &Share) -> Self {
        self.wanted = share.cells(self.cells.len());
        self
    }

    /// What it knows, for [`IntegratedGradients::absorb`] of the whole scan.
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
        let numbers = Numbers { text: Some(0), first_draw: 1, draws: 0, sequences: self.lengths.len() };
        self.finished.absorb(StateError::read(state)?, share, numbers)
    }

    /// Whether it was not selected, or there is no other sequence to start from: no pass is needed.
    pub fn is_empty(&self) -> bool {
        self.selected.is_none() || self.lengths.len() < 2
    }

    /// What the pass reads: for each sequence its points in order, the last being the sequence itself.
    pub fn inputs(&self, sequences: &[Vec<u32>]) -> Vec<Input> {
        let next = |at: usize| &sequences[(at + 1) % sequences.len()];
        let point = |at: usize, tokens: &Vec<u32>, step: usize| Input {
            tokens: tokens.clone(),
            blend: (step < self.steps)
                .then(|| Blend { from: next(at).clone(), share: step as f32 / self.steps as f32 }),
            number: None,
        };
        let points = |(at, tokens): (usize, &Vec<u32>)| {
            (1..=self.steps).map(|step| point(at, tokens, step)).collect::<Vec<Input>>()
        };
        sequences.iter().enumerate().flat_map(points).collect()
    }

    /// What the pass differentiates.
    pub fn objective(&self) -> Objective {
        let repeated = |positions: &std::sync::Arc<[Vec<usize>]>| {
            positions.iter().flat_map(|of| std::iter::repeat_n(of.clone(), self.steps)).collect()
        };
        Objective { loss: self.text.loss.clone(), positions: self.text.positions.as_ref().map(repeated) }
    }

    /// Bytes that are kept at the peak of a pass.
    pub fn memory_bytes(&self) -> u64 {
        let longest = self.lengths.iter().copied().max().unwrap_or(0) as u64;
        let first = self.lengths.first().copied().unwrap_or(0) as u64;
        let mut layers = vec![0_u64; self.finished.layers.len()];
        for cell in self.cells.iter().filter(|cell| cell.id.expert.is_none()) {
            if let Some(bytes) = layers.get_mut(cell.id.layer as usize) {
                // Gradients under way and of the sequence before, outputs of the first.
                *bytes += 4 * cell.rows * (2 * longest + first);
            }
        }
        let kept = (self.cells.len() * self.lengths.len() * size_of::<GradientSums>()) as u64;
        2 * kept + layers.into_iter().max().unwrap_or(0)
    }

    /// The column, if it was selected.
    pub fn finish(self) -> Vec<Column> {
        let scores = || (0..self.cells.len()).map(|at| self.score(at)).collect();
        self.selected.iter().map(|selected| Column::new(selected.info(), scores())).collect()
    }

    fn score(&self, at: usize) -> Score {
        let id = self.cells[at].id;
        if let Err((status, reason)) = has_partner(id, self.lengths.len()) {
            return Score::missing(status, reason);
        }
        let (Some(true), Some(done)) = (self.finished.layers.get(id.layer as usize), &self.finished.cells[at]) else {
            return Score::missing(Status::NotMeasured, UNFINISHED);
        };
        let sums: Vec<f64> = done.sums.iter().map(|sums| sums.resample).collect();
        let scored: Vec<f64> = self.scored.iter().map(|scored| *scored as f64).collect();
        let value = sums.iter().sum::<f64>() / scored.iter().sum::<f64>();
        with_interval(value, self.bootstrap.ratio(&sums, &scored))
    }

    fn about(&self) -> String {
        let Self { lengths, scored, steps, seed, wanted, .. } = self;
        format!("ig {lengths:?} {scored:?} {steps} {seed} {wanted:?}")
    }
}

impl Walking {
    /// Takes a point, whose gradients count for `share`; the last one is the sequence itself.
    fn see(&mut self, sequence: usize, lengths: &[usize], share: f32, is_last: bool, g: Rows<'_>, y: Rows<'_>) {
        let cols = y.cols();
        self.gradient.resize(y.len() * cols, 0.0);
        for (sum, row) in self.gradient.chunks_exact_mut(cols.max(1)).zip(g.iter()) {
            sum.iter_mut().zip(row).for_each(|(sum, g)| *sum += share * g);
        }
        if is_last {
            let gradient = std::mem::take(&mut self.gradient);
            let sums = &mut self.sums;
            let mut known = |sequence: usize, sum: f64| sums[sequence].resample = sum;
            self.exchange.see(sequence, lengths, Rows::dense(&gradient, cols), y, &mut known);
        }
    }
}

impl GradientObserver for IntegratedGradients {
    fn see(&mut self, seen: &CellGradients<'_>) {
        let points = self.steps * self.lengths.len();
        let is_known = self.wanted.get(seen.cell).copied().unwrap_or(false)
            && seen.spans.iter().all(|span| span.sequence < points);
        let Some(gradient) = seen.gradients.first().filter(|_| is_known && seen.id.expert.is_none()) else { return };
        let none = || Walking { sums: vec![GradientSums::default(); self.lengths.len()], ..Walking::default() };
        let walking = self.running.entry(seen.cell).or_insert_with(none);
        for span in seen.spans {
            let (g, y) =
                (gradient.slice(span.rows.start, span.rows.len()), seen.output.slice(span.rows.start, span.rows.len()));
            let (sequence, step) = (span.sequence / self.steps, span.sequence % self.steps);
            walking.see(sequence, &self.lengths, 1.0 / self.steps as f32, step + 1 == self.steps, g, y);
        }
    }

    fn layer_done(&mut self, layer: u32) {
        let running = std::mem::take(&mut self.running).into_iter();
        let done = |(cell, walking): (usize, Walking)| (cell, Done { sums: walking.sums, ..Done::default() });
        self.finished.layer(layer, running.map(done));
    }

    fn lowest_layer(&self) -> u32 {
        super::lowest_layer(&self.cells, &self.wanted)
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
