//! From the sums of a pass to scores, when it is over.

use std::collections::BTreeMap;

use rayon::prelude::*;
use tomo_map::stats::Bootstrap;
use tomo_map::{Component, Score, Status};

use super::cell::{CellScores, NO_TOKEN, with_interval};
use super::layer::{Layer, Site};
use super::sums::Sums;
use super::{CellFacts, CellShape};
use crate::{Form, Formula, Kind, Reads, Selected};

const UNFINISHED: &str = "the pass over the text ended before this layer was done";

/// A pass that is over.
pub(super) struct Ended<'a> {
    pub(super) selected: &'a [Selected],
    pub(super) bootstrap: &'a Bootstrap,
    /// Tokens of each sequence.
    pub(super) lengths: &'a [usize],
    pub(super) cells: &'a [CellShape],
    /// Experts of each layer.
    pub(super) experts: &'a [usize],
    /// Parallel to the cells: which of them were to be weighed.
    pub(super) wanted: &'a [bool],
    /// The cells of each site, ascending.
    pub(super) sites: &'a BTreeMap<(u32, Site), Vec<usize>>,
    pub(super) layers: Vec<Layer>,
    /// Parallel to the cells.
    pub(super) weighed: Vec<Option<CellScores>>,
}

impl Ended<'_> {
    /// One row of scores per cell, parallel to the selection.
    pub(super) fn scores(&self) -> Vec<Vec<Score>> {
        let routed: Vec<Option<Vec<usize>>> = self.layers.iter().map(|layer| self.routed(layer)).collect();
        let row = |at: usize| match self.layers.get(self.cells[at].id.layer as usize) {
            Some(layer) => {
                let routed = routed.get(self.cells[at].id.layer as usize).and_then(Option::as_deref);
                CellView { ended: self, layer, routed, at, shape: self.cells[at] }.row()
            }
            None => vec![unfinished(); self.selected.len()],
        };
        (0..self.cells.len()).into_par_iter().map(row).collect()
    }

    /// Tokens sent to experts, all experts together, by sequence. `None` unless every token of every sequence was sent to
    /// the same number of experts: then the pass ended within the layer, or the layer has none.
    fn routed(&self, layer: &Layer) -> Option<Vec<usize>> {
        let routed: Vec<usize> = (0..self.lengths.len()).map(|sequence| layer.routed(sequence)).collect();
        let (all, tokens) = (routed.iter().sum::<usize>(), self.lengths.iter().sum::<usize>());
        let each = all.checked_div(tokens)?;
        let is_even = routed.iter().zip(self.lengths).all(|(routed, length)| *routed == each * length);
        (each > 0 && is_even).then_some(routed)
    }

    /// Whether something was seen of every sequence that has tokens.
    fn is_complete<T>(&self, seen: &[Option<T>]) -> bool {
        self.lengths.iter().enumerate().all(|(at, length)| *length == 0 || seen.get(at).is_some_and(Option::is_some))
    }
}

fn unfinished() -> Score {
    Score::missing(Status::NotMeasured, UNFINISHED)
}

/// One cell of a pass that is over.
struct CellView<'a> {
    ended: &'a Ended<'a>,
    layer: &'a Layer,
    routed: Option<&'a [usize]>,
    at: usize,
    shape: CellShape,
}

impl CellView<'_> {
    fn row(&self) -> Vec<Score> {
        let selected = self.ended.selected;
        let formulas: Vec<Option<Sum>> = selected.iter().map(Sum::of).collect();
        let mut row: Vec<Score> = selected.iter().map(|selected| self.score_when_weighed(selected)).collect();
        if formulas.iter().all(Option::is_none) {
            return row;
        }
        let by_sequence: Vec<Sums> = (0..self.ended.lengths.len()).map(|sequence| self.sums(sequence)).collect();
        let mut text = Sums::default();
        by_sequence.iter().for_each(|sums| text.add(1.0, sums));
        let resamples = self.resamples(&by_sequence);
        let facts = self.facts();
        for (score, formula) in row.iter_mut().zip(&formulas) {
            let Some(Sum { applies, reads, formula }) = formula else { continue };
            *score = match applies(self.shape.id) {
                Err(reason) => Score::missing(Status::NotApplicable, reason),
                Ok(()) if !self.has(reads) => unfinished(),
                Ok(()) if text.tokens == 0.0 && reads.inputs => Score::missing(Status::Undefined, NO_TOKEN),
                Ok(()) => match formula(&text, &facts) {
                    Err(reason) => Score::missing(Status::Undefined, reason),
                    Ok(value) => {
                        let values = resamples.iter().map(|sums| formula(sums, &facts).unwrap_or(f64::NAN));
                        with_interval(value, Bootstrap::percentiles(values.collect()))
                    }
                },
            };
        }
        row
    }

    /// The score that was made when the cell was weighed.
    fn score_when_weighed(&self, selected: &Selected) -> Score {
        if let (Kind::Activations { applies, .. }, Form::Plain) = (&selected.metric.kind, selected.form)
            && let Err(reason) = applies(self.shape.id)
        {
            return Score::missing(Status::NotApplicable, reason);
        }
        if !self.has_inputs() {
            return unfinished();
        }
        let at = self.ended.selected.iter().position(|other| other == selected);
        let of_inputs = matches!(selected.metric.kind, Kind::Activations { formula: Formula::Energies { .. }, .. });
        let cell = if of_inputs { self.first_of_site() } else { self.at };
        let kept = self.ended.weighed.get(cell).and_then(Option::as_ref);
        let score = at.and_then(|at| kept?.scores.get(at)?.clone());
        match score {
            Some(score) => score,
            // Of an expert without tokens nobody needs the weights.
            None if self.is_idle() => Score::missing(Status::Undefined, NO_TOKEN),
            None => unfinished(),
        }
    }

    /// The cell with which the inputs were scored.
    fn first_of_site(&self) -> usize {
        let cells = self.ended.sites.get(&(self.shape.id.layer, self.shape.site()));
        let first = cells.and_then(|cells| cells.iter().find(|cell| self.ended.wanted[**cell]));
        first.copied().unwrap_or(self.at)
    }

    fn is_idle(&self) -> bool {
        let seen = self.layer.inputs.get(&self.shape.site());
        self.shape.id.expert.is_some() && seen.is_none_or(|input| input.seen.iter().all(Option::is_none))
    }

    fn has_inputs(&self) -> bool {
        match self.shape.id.expert {
            Some(_) => self.routed.is_some(),
            None => self.layer.inputs.get(&self.shape.site()).is_some_and(|input| self.ended.is_complete(&input.seen)),
        }
    }

    /// Whether the pass went far enough for a metric that reads `reads`.
    fn has(&self, reads: &Reads) -> bool {
        let id = self.shape.id;
        let outputs = || match self.layer.outputs.get(&(id.component, id.expert)) {
            Some(seen) if id.expert.is_none() => self.ended.is_complete(seen),
            Some(seen) => match self.layer.inputs.get(&self.shape.site()) {
                Some(input) => input.seen.iter().zip(seen).all(|(input, output)| input.is_some() == output.is_some()),
                None => false,
            },
            None => self.is_idle(),
        };
        let compared = |of: usize| self.ended.is_complete(&self.layer.compared[of]);
        (!(reads.inputs || reads.moments) || self.has_inputs())
            && (!(reads.outputs || reads.gains) || outputs())
            && (!reads.writes || compared(usize::from(id.component != Component::AttnO)))
            && (!reads.blocks || compared(2))
            && (!reads.routing || self.routed.is_some())
            && (!reads.norm || self.ended.weighed[self.at].is_some() || self.is_idle())
    }

    fn facts(&self) -> CellFacts {
        CellFacts {
            id: self.shape.id,
            rows: self.shape.rows as f64,
            cols: self.shape.cols as f64,
            frobenius: self.ended.weighed[self.at].as_ref().map_or(f64::NAN, |scores| scores.frobenius),
            experts: self.ended.experts.get(self.shape.id.layer as usize).map_or(0.0, |count| *count as f64),
        }
    }

    fn sums(&self, sequence: usize) -> Sums {
        let id = self.shape.id;
        let mut sums = Sums::default();
        self.layer.add_to(&mut sums, id.component, id.expert, sequence);
        let compared = |of: usize| self.layer.compared[of].get(sequence).copied().flatten().unwrap_or_default();
        let write = match id.component {
            Component::AttnO => compared(0),
            Component::MlpDown => compared(1),
            _ => super::sweep::Comparison::default(),
        };
        (sums.write_ratio, sums.write_ratio_tokens) = write.ratio;
        (sums.write_cosine, sums.write_cosine_tokens) = write.cosine;
        (sums.block_cosine, sums.block_tokens) = compared(2).cosine;
        sums.sent = id.expert.map_or(0.0, |expert| self.layer.sent(expert, sequence) as f64);
        sums.routed = self.routed.map_or(0.0, |routed| routed[sequence] as f64);
        sums
    }

    /// The sums of every resample.
    fn resamples(&self, by_sequence: &[Sums]) -> Vec<Sums> {
        let sum = |counts: &[u16]| {
            let mut sums = Sums::default();
            let drawn = counts.iter().zip(by_sequence).filter(|(count, _)| **count > 0);
            drawn.for_each(|(count, one)| sums.add(f64::from(*count), one));
            sums
        };
        self.ended.bootstrap.counts().map(sum).collect()
    }
}

/// A metric that is a function of sums over tokens.
struct Sum {
    applies: fn(tomo_map::CellId) -> Result<(), &'static str>,
    reads: Reads,
    formula: fn(&Sums, &CellFacts) -> Result<f64, &'static str>,
}

impl Sum {
    fn of(selected: &Selected) -> Option<Self> {
        match selected.metric.kind {
            Kind::Activations { applies, reads, formula: Formula::Sums(formula) } => {
                Some(Self { applies, reads, formula })
            }
            _ => None,
        }
    }
}
