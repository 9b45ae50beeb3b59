//! From what is left of the cells to scores, when the pass is over.

use rayon::prelude::*;
use tomo_map::stats::Bootstrap;
use tomo_map::{CellId, Score, Status};

use super::cell::{Done, Plan};
use super::jackknife;
use super::output_error::{FormatSums, Numbers};
use super::sample::LeftOut;
use super::sums::{GradientSums, WholeGradient};
use crate::activations::{CellShape, with_interval};
use crate::predicted::{Draws, DrawsError};
use crate::{GradientFormula, Kind, Selected};

pub(crate) const UNFINISHED: &str = "the reverse pass over the text ended before this layer was done";
const NO_TOKEN: &str = "no token of this text was sent to this expert";
const NOTHING_SCORED: &str = "no token of this text is scored";
pub(crate) const NO_PARTNER: &str = "an expert's tokens have no counterpart in another sequence";
pub(crate) const ALONE: &str = "there is one sequence, and none to take outputs from";

/// A pass that is over.
pub(crate) struct Ended<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) bootstrap: &'a Bootstrap,
    pub(crate) cells: &'a [CellShape],
    /// Parallel to the cells.
    pub(crate) done: &'a [Option<Done>],
    /// By layer.
    pub(crate) layers_done: &'a [bool],
    /// Whether other cells or sequences were left to other parts of the scan.
    pub(crate) is_part: bool,
}

/// Why a cell has no score.
type Missing = (Status, String);

impl Ended<'_> {
    /// Scores of one metric, parallel to the cells.
    pub(crate) fn scores(&self, selected: &Selected) -> Vec<Score> {
        let Kind::Gradients { formula } = &selected.metric.kind else {
            return self.each(|_, _| Err((Status::NotMeasured, "the metric reads no gradients".into())));
        };
        match formula {
            GradientFormula::Whole(score) => self.whole(*score),
            GradientFormula::Sums { reads, score, squared } => self.each(|id, done| {
                if reads.resample {
                    has_partner(id, self.plan.lengths.len())?;
                }
                Ok(self.sums(done, *score, *squared))
            }),
            GradientFormula::Path => self.each(|_, _| Err((Status::NotMeasured, "it takes a pass of its own".into()))),
            GradientFormula::OutputError { format } => self.each(|_, done| self.output_error(done, format)),
            GradientFormula::PredictedKl { format } => self.predicted(format),
        }
    }

    /// Calls `score` with every cell that something is known of.
    fn each(&self, score: impl Fn(CellId, &Done) -> Result<Score, Missing> + Sync) -> Vec<Score> {
        let one = |at: usize| {
            let found = self.cell(at).and_then(|done| score(self.cells[at].id, done));
            found.unwrap_or_else(|(status, reason)| Score::missing(status, reason))
        };
        (0..self.cells.len()).into_par_iter().map(one).collect()
    }

    fn cell(&self, at: usize) -> Result<&Done, Missing> {
        let id = self.cells[at].id;
        match (self.layers_done.get(id.layer as usize), &self.done[at]) {
            (Some(true), Some(_)) if self.tokens() == 0.0 => Err((Status::Undefined, NOTHING_SCORED.into())),
            (Some(true), Some(done)) => Ok(done),
            (Some(true), None) if id.expert.is_some() => Err((Status::Undefined, NO_TOKEN.into())),
            _ => Err((Status::NotMeasured, UNFINISHED.into())),
        }
    }

    /// N.
    fn tokens(&self) -> f64 {
        self.plan.scored.iter().sum::<usize>() as f64
    }

    fn sums(&self, done: &Done, score: fn(&GradientSums) -> f64, squared: bool) -> Score {
        let with_tokens = |(sums, scored): (&GradientSums, &usize)| GradientSums {
            tokens: *scored as f64,
            sequences: f64::from(u8::from(*scored > 0)),
            ..*sums
        };
        let by_sequence: Vec<GradientSums> = done.sums.iter().zip(&self.plan.scored).map(with_tokens).collect();
        let mut text = GradientSums::default();
        by_sequence.iter().for_each(|sums| text.add(1.0, sums));
        let interval = self.bootstrap.interval(|counts| {
            let mut sums = GradientSums::default();
            let drawn = counts.iter().zip(&by_sequence).filter(|(count, _)| **count > 0);
            drawn.for_each(|(count, one)| sums.add(f64::from(*count), one));
            score(&sums)
        });
        let value = score(&text);
        if squared { with_interval(value * value, interval.map(squares)) } else { with_interval(value, interval) }
    }

    fn output_error(&self, done: &Done, format: &str) -> Result<Score, Missing> {
        let sums = self.format(done, format)?;
        let (all, tokens) = (sums.squares.iter().sum::<f64>(), self.tokens());
        let interval = self.bootstrap.interval(|counts| {
            let drawn = counts.iter().zip(sums.squares.iter().zip(&self.plan.scored));
            let (sum, scored) = drawn.fold((0.0, 0.0), |(sum, scored), (count, (square, tokens))| {
                (sum + f64::from(*count) * square, scored + f64::from(*count) * *tokens as f64)
            });
            sum / (scored * scored)
        });
        Ok(with_interval(all / (tokens * tokens), interval))
    }

    fn format<'b>(&self, done: &'b Done, format: &str) -> Result<&'b FormatSums, Missing> {
        let at = self.plan.demand.formats.iter().position(|weighed| weighed.format == format);
        match at.and_then(|at| done.formats.get(at)) {
            Some(Ok(sums)) => Ok(sums),
            Some(Err(reason)) => Err((Status::NotApplicable, reason.clone())),
            None => Err((Status::NotMeasured, UNFINISHED.into())),
        }
    }

    fn whole(&self, score: fn(&WholeGradient) -> Result<f64, &'static str>) -> Vec<Score> {
        let sequences = self.plan.lengths.len();
        // With each sequence left out, and with none.
        let (mut model, mut model_left) = (0.0, vec![0.0; sequences]);
        for done in self.done.iter().flatten() {
            model += done.taylor;
            for (s, sum) in model_left.iter_mut().enumerate() {
                *sum += done.taylor * done.left_out.get(s).unwrap_or(&LeftOut::ALL).taylor;
            }
        }
        let is_complete = !self.is_part && self.layers_done.iter().all(|done| *done);
        let tokens = self.tokens();
        self.each(|_, done| {
            let gradient = |left: LeftOut, model: f64, tokens: f64| WholeGradient {
                taylor: done.taylor * left.taylor / tokens,
                // NaN where it is not known: whoever reads it has no score then.
                model_taylor: if is_complete { model / tokens } else { f64::NAN },
                norm: done.norm * left.norm / tokens,
                weight_norm: done.weight_norm,
            };
            let value = score(&gradient(LeftOut::ALL, model, tokens)).map_err(|e| (Status::Undefined, e.to_owned()))?;
            if value.is_nan() && !is_complete {
                return Err((Status::NotMeasured, UNFINISHED.into()));
            }
            let counted = self.plan.scored.iter().enumerate().filter(|(_, scored)| **scored > 0);
            let left_out = counted.filter_map(|(s, scored)| {
                let left = gradient(*done.left_out.get(s)?, model_left[s], tokens - *scored as f64);
                Some(score(&left).unwrap_or(f64::NAN))
            });
            Ok(with_interval(value, jackknife::interval(value, &left_out.collect::<Vec<f64>>())))
        })
    }

    /// Cells of which a format's draws are known and finite.
    pub(crate) fn known(&self, format: &str) -> Vec<usize> {
        let is_finite = |sums: &FormatSums| sums.u.iter().chain(&sums.v).all(|x| x.is_finite());
        let is_known = |at: &usize| self.cell(*at).and_then(|done| self.format(done, format)).is_ok_and(is_finite);
        (0..self.cells.len()).filter(is_known).collect()
    }

    fn predicted(&self, format: &str) -> Vec<Score> {
        // Of those that are known it is overwritten.
        let mut scores = self.each(|_, done| {
            let _ = self.format(done, format)?;
            Err((Status::Undefined, "the gradients are not finite".into()))
        });
        let known = self.known(format);
        if known.is_empty() {
            return scores;
        }
        match self.draws(format, &known) {
            Ok(draws) => {
                let predicted = draws.predict();
                known.iter().zip(&predicted.cells).for_each(|(at, cell)| scores[*at] = cell.score());
            }
            Err(error) => {
                known.iter().for_each(|at| scores[*at] = Score::missing(Status::NotMeasured, error.to_string()));
            }
        }
        scores
    }

    /// What was drawn for some of the cells.
    pub(crate) fn draws(&self, format: &str, cells: &[usize]) -> Result<Draws, DrawsError> {
        let (mut u, mut v) = (Vec::new(), Vec::new());
        for at in cells {
            if let Ok(sums) = self.cell(*at).and_then(|done| self.format(done, format)) {
                u.extend_from_slice(&sums.u);
                v.extend_from_slice(&sums.v);
            }
        }
        let ids = cells.iter().map(|at| self.cells[*at].id).collect();
        let Numbers { draws, sequences, .. } = self.plan.numbers;
        Draws::new(ids, draws, sequences, self.plan.scored.iter().sum(), u, Some(v))
    }
}

/// Whether a cell's outputs can be exchanged for those of another sequence.
pub(crate) fn has_partner(id: CellId, sequences: usize) -> Result<(), Missing> {
    match (id.expert, sequences) {
        (Some(_), _) => Err((Status::NotApplicable, NO_PARTNER.into())),
        (None, 0 | 1) => Err((Status::NotApplicable, ALONE.into())),
        _ => Ok(()),
    }
}

/// The squares of all numbers in an interval.
fn squares((low, high): (f64, f64)) -> (f64, f64) {
    let (low2, high2) = (low * low, high * high);
    let least = if low <= 0.0 && high >= 0.0 { 0.0 } else { low2.min(high2) };
    (least, low2.max(high2))
}
