//! From what is known of sequences to scores, when the scan is over.

use rayon::prelude::*;
use tomo_map::stats::{Bootstrap, SequenceTable, split_half};
use tomo_map::{Column, Measurement, Score, SelfAgreement, Status};

use super::entrants::Entrants;
use super::{Causal, Damage, Measured, MeasuredCell, MeasuredVariant, NoiseFit, Standings};
use crate::CausalEdit;
use crate::activations::with_interval;

const UNFINISHED: &str = "the scan ended before this cell was measured";
const OVERFLOW: &str = "the changed model leaves the range of f32 on this text";
const NO_CHANGE: &str = "the change leaves every prediction as it is";
const NO_TOKEN: &str =
    "the change leaves every prediction as it is: perhaps no token of this text is sent to this expert";

/// Random halves for the reliability.
const SPLITS: usize = 200;
/// Fewest sequences that are halved.
const FEWEST_HALVED: usize = 4;

impl Causal {
    /// One column per metric, in the selection's order.
    pub fn columns(&self) -> Vec<Column> {
        let bootstrap = Bootstrap::new(self.lengths.len(), self.options.resamples, self.options.seed);
        (0..self.entrants.len()).map(|metric| self.column(metric, &bootstrap)).collect()
    }

    /// What the columns are made of.
    pub fn measured(&self) -> Vec<Measured> {
        (0..self.entrants.len()).map(|metric| self.measured_for(metric)).collect()
    }

    fn column(&self, metric: usize, bootstrap: &Bootstrap) -> Column {
        let one = &self.entrants[metric];
        let (sums, tokens) = (self.sums(metric), self.tokens());
        let panel = self.races[metric].as_ref().map_or(&[][..], |race| race.panel());
        let standings = Standings::new(panel, &sums, &tokens);
        let known =
            Known { sums, text_variance: standings.text_variance(&tokens, bootstrap), tokens, standings, bootstrap };
        let places: Vec<usize> = one.running().map(|(cell, _)| cell).collect();
        let at = |cell: usize| -> Result<usize, (Status, String)> {
            let (speaker, _) = one.speaker(cell)?;
            places.binary_search(&speaker).map_err(|_| (Status::NotMeasured, UNFINISHED.to_owned()))
        };
        let cells = self.model.cells().len();
        let score = |cell: usize| {
            let found = at(cell).and_then(|place| {
                let score = known.score(place, self.model.cells()[cell].id.expert.is_some())?;
                let fit = self.fit(metric, one.speaker(cell)?.1);
                Ok(match fit.and_then(|fit| fit.caveat()) {
                    Some(caveat) => score.with_caveat(caveat),
                    None => score,
                })
            });
            found.unwrap_or_else(|(status, reason)| Score::missing(status, reason))
        };
        let scores: Vec<Score> = (0..cells).into_par_iter().map(score).collect();
        let seen = |cell| at(cell).map_or(0, |place| known.standings.cells[place].seen);
        let sequences = (0..cells).map(|cell| u32::try_from(seen(cell)).unwrap_or(u32::MAX)).collect();
        let of = u32::try_from(self.lengths.len()).unwrap_or(u32::MAX);
        let reliability = known.self_agreement(self.options.seed);
        let measurement = Some(Measurement { sequences, of, reliability });
        Column { info: one.selected.info(), scores, measurement }
    }

    /// Predicted tokens of each sequence.
    pub(super) fn tokens(&self) -> Vec<f64> {
        self.lengths.iter().map(|length| length.saturating_sub(1) as f64).collect()
    }

    /// What each running cell of a metric is known to lose on each sequence: sums over tokens.
    pub(super) fn sums(&self, metric: usize) -> Vec<Vec<Option<f64>>> {
        let (one, sequences) = (&self.entrants[metric], self.lengths.len());
        one.running().map(|(_, first)| (0..sequences).map(|s| self.sum(one, first, s)).collect()).collect()
    }

    /// What a cell's variants say of a sequence, weighted.
    fn sum(&self, one: &Entrants, first: usize, sequence: usize) -> Option<f64> {
        let arms = one.arms.iter().enumerate();
        arms.map(|(at, arm)| Some(arm.weight * self.state.table.get(first + at, sequence)?.kl)).sum()
    }

    /// The line through what noise does to a cell, over the sequences that it got.
    fn fit(&self, metric: usize, first: usize) -> Option<NoiseFit> {
        let one = &self.entrants[metric];
        if one.edit != CausalEdit::Noise {
            return None;
        }
        let known: Vec<usize> = (0..self.lengths.len()).filter(|s| self.sum(one, first, *s).is_some()).collect();
        let tokens: usize = known.iter().map(|s| self.lengths[*s].saturating_sub(1)).sum();
        let of_arm = |arm: usize| -> Option<f64> {
            let sums = known.iter().map(|s| Some(self.state.table.get(first + arm, *s)?.kl));
            Some(sums.sum::<Option<f64>>()? / tokens as f64)
        };
        let kl: Vec<f64> = (0..one.arms.len()).map(of_arm).collect::<Option<_>>()?;
        Some(NoiseFit::new(&self.options.noise_levels, self.options.noise_seeds, &kl))
    }

    fn measured_for(&self, metric: usize) -> Measured {
        let one = &self.entrants[metric];
        let id = |cell: usize| self.model.cells()[cell].id;
        let tokens: Vec<u64> = self.lengths.iter().map(|length| length.saturating_sub(1) as u64).collect();
        let per_token = |sequence: usize, sum: f64| sum / tokens[sequence] as f64;
        let sequences = || 0..self.lengths.len();
        let panel = self.races[metric].as_ref().map_or(&[][..], |race| race.panel());
        let places: Vec<usize> = one.running().map(|(cell, _)| cell).collect();
        let cell = |at: usize| -> Option<MeasuredCell> {
            let (speaker, first) = one.speaker(at).ok()?;
            let value = sequences().map(|s| Some(per_token(s, self.sum(one, first, s)?))).collect();
            let variants = one.arms.iter().enumerate().map(|(number, arm)| {
                let of = |what: fn(&Damage) -> f64| -> Vec<Option<f64>> {
                    let each = |s| Some(per_token(s, what(self.state.table.get(first + number, s)?)));
                    sequences().map(each).collect()
                };
                let edit = arm.edit.to_string();
                MeasuredVariant { edit, kl: of(|d| d.kl), nll: of(|d| d.nll), top1: of(|d| f64::from(d.agreed)) }
            });
            let same_as = (speaker != at).then(|| id(speaker));
            let r2 = self.fit(metric, first).and_then(|fit| fit.r2);
            Some(MeasuredCell { id: id(at), same_as, value, r2, variants: variants.collect() })
        };
        Measured {
            metric: one.selected.id(),
            nll_original: sequences().map(|s| Some(per_token(s, self.state.table.original(s)?))).collect(),
            order: self.order.clone(),
            panel: panel.iter().map(|place| id(places[*place])).collect(),
            cells: (0..self.model.cells().len()).filter_map(cell).collect(),
            tokens,
        }
    }
}

/// What is known for one metric.
struct Known<'a> {
    /// By running cell and sequence.
    sums: Vec<Vec<Option<f64>>>,
    tokens: Vec<f64>,
    standings: Standings,
    text_variance: f64,
    bootstrap: &'a Bootstrap,
}

impl Known<'_> {
    fn score(&self, place: usize, is_expert: bool) -> Result<Score, (Status, String)> {
        let (own, standing) = (&self.sums[place], &self.standings.cells[place]);
        if standing.seen == 0 {
            return Err((Status::NotMeasured, UNFINISHED.to_owned()));
        }
        if own.iter().flatten().any(|sum| !sum.is_finite()) {
            return Err((Status::Undefined, OVERFLOW.to_owned()));
        }
        if standing.mean == 0.0 {
            return Ok(Score::from_value(0.0).with_caveat(if is_expert { NO_TOKEN } else { NO_CHANGE }));
        }
        if let Some(all) = own.iter().copied().collect::<Option<Vec<f64>>>() {
            return Ok(with_interval(standing.mean, self.bootstrap.ratio(&all, &self.tokens)));
        }
        let has_intervals = self.bootstrap.resamples() > 0;
        let interval = self.standings.interval(place, self.text_variance).filter(|_| has_intervals);
        Ok(with_interval(standing.mean, interval))
    }

    fn self_agreement(&self, seed: u64) -> Option<SelfAgreement> {
        let is_sound = |own: &&Vec<Option<f64>>| {
            own.iter().flatten().all(|sum| sum.is_finite()) && own.iter().flatten().next().is_some()
        };
        let rows = || self.sums.iter().filter(is_sound);
        let sums = rows().flat_map(|own| own.iter().map(|sum| sum.unwrap_or(0.0))).collect();
        let tokens =
            rows().flat_map(|own| own.iter().zip(&self.tokens).map(|(sum, t)| sum.map_or(0.0, |_| *t))).collect();
        let table = SequenceTable::new(self.tokens.len(), sums, tokens)?;
        let found = split_half(&table, SPLITS, seed).filter(|found| found.sequences >= FEWEST_HALVED)?;
        Some(SelfAgreement {
            sequences: u32::try_from(found.sequences).ok()?,
            half: found.half,
            whole: found.whole,
            ceiling: found.ceiling,
        })
    }
}
