//! The ground truth over one set of cells, with everything that every column is held against.

use tomo_map::stats::{
    CellSamples, Sampled, SequenceTable, kendall, partial, partial_spearman, pearson, spearman, top_count, top_overlap,
};
use tomo_map::{Score, Status};

use crate::position::{Position, column_and_depth};
use crate::{Form, Options};

/// Fewest cells of a column or a layer that have an order.
const FEWEST: usize = 3;

/// Costs of some cells, in samples of them and of the sequences they were measured on.
pub(crate) struct Ground {
    positions: Vec<Position>,
    truth: Vec<f64>,
    samples: CellSamples,
    /// Ranks of the truth in every sample.
    ranks: Sampled,
    control: Result<Control, String>,
    top: usize,
}

/// Column and depth, the control that others are compared with.
struct Control {
    values: Vec<f64>,
    ranks: Sampled,
    /// Correlation of the truth with the control: on all cells, and in every sample.
    rho: Option<f64>,
    rho_of_samples: Vec<Option<f64>>,
}

/// A column beside the truth.
struct Beside<'a> {
    scores: &'a [f64],
    ranks: Sampled,
    rho: Option<f64>,
    rho_of_samples: Vec<Option<f64>>,
}

impl Ground {
    /// `table` holds what every sequence said of these cells, in their order.
    pub(crate) fn new(
        positions: Vec<Position>,
        truth: Vec<f64>,
        table: Option<&SequenceTable>,
        options: &Options,
    ) -> Self {
        let samples = CellSamples::new(truth.len(), options.resamples, options.seed);
        let ranks = match table {
            Some(table) => samples.of_table(table, options.seed.wrapping_add(1)),
            None => samples.of_values(&truth),
        }
        .ranked();
        let control = column_and_depth(&positions, &truth).map(|values| {
            let control = samples.of_values(&values).ranked();
            let rho = spearman(&values, &truth);
            let rho_of_samples = correlations(&samples, &control, &ranks);
            Control { values, ranks: control, rho, rho_of_samples }
        });
        let top = top_count(truth.len(), options.top_share);
        Self { positions, truth, samples, ranks, control, top }
    }

    /// Costs of the cells.
    pub(crate) fn truth(&self) -> &[f64] {
        &self.truth
    }

    /// Where the cells are.
    pub(crate) fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// What column and depth alone predict, or why they predict nothing.
    pub(crate) fn control(&self) -> Result<&[f64], &str> {
        self.control.as_ref().map(|c| c.values.as_slice()).map_err(String::as_str)
    }

    /// Everything that is said of a column; `scores` are turned so that high means costly.
    pub(crate) fn form(&self, scores: &[f64]) -> Form {
        let ranks = self.samples.of_values(scores).ranked();
        let rho_of_samples = correlations(&self.samples, &ranks, &self.ranks);
        let beside = Beside { scores, ranks, rho: spearman(scores, &self.truth), rho_of_samples };
        let Some(rho) = beside.rho else {
            return Form::undefined("all cells have the same value");
        };
        let interval = self.samples.correlation_interval(rho, |at| beside.rho_of_samples[at]);
        Form {
            rho: with_interval(Score::from_value(rho), interval),
            kendall: or_undefined(kendall(scores, &self.truth), "all cells have the same value"),
            within_columns: self.within(&beside, |p| p.column, "column"),
            within_layers: self.within(&beside, |p| p.layer as usize, "layer"),
            top_overlap: or_undefined(top_overlap(scores, &self.truth, self.top), "there are no cells"),
            partial: self.partial(&beside),
            over_control: self.over_control(&beside, rho),
        }
    }

    /// Mean over groups of cells of the correlation inside a group.
    fn within(&self, beside: &Beside<'_>, group: impl Fn(&Position) -> usize, name: &str) -> Score {
        let groups: Vec<usize> = self.positions.iter().map(group).collect();
        let Some(inside) = Inside::of(&groups, beside.scores, &self.truth) else {
            return Score::missing(Status::Undefined, format!("no {name} has an order: its cells share a value"));
        };
        let sampled = |at: usize| {
            let groups: Vec<usize> = self.samples.picks(at).iter().map(|p| groups[*p as usize]).collect();
            Inside::of(&groups, beside.ranks.at(at), self.ranks.at(at)).map(|inside| inside.mean)
        };
        let interval = self.samples.correlation_interval(inside.mean, sampled);
        let score = with_interval(Score::from_value(inside.mean), interval);
        if inside.defined < inside.groups {
            return score.with_caveat(format!("mean of {} of {} {name}s", inside.defined, inside.groups));
        }
        score
    }

    fn partial(&self, beside: &Beside<'_>) -> Score {
        let control = match &self.control {
            Ok(control) => control,
            Err(reason) => return Score::missing(Status::Undefined, reason.clone()),
        };
        let Some(r) = partial_spearman(beside.scores, &self.truth, &control.values) else {
            return Score::missing(Status::Undefined, "nothing is left beside the control");
        };
        let sampled = |at: usize| {
            let with_control = pearson(beside.ranks.at(at), control.ranks.at(at))?;
            partial(beside.rho_of_samples[at]?, with_control, control.rho_of_samples[at]?)
        };
        with_interval(Score::from_value(r), self.samples.correlation_interval(r, sampled))
    }

    fn over_control(&self, beside: &Beside<'_>, rho: f64) -> Score {
        let control = match &self.control {
            Ok(control) => control,
            Err(reason) => return Score::missing(Status::Undefined, reason.clone()),
        };
        let Some(of_control) = control.rho else {
            return Score::missing(Status::Undefined, "the control has no order");
        };
        let over = rho - of_control;
        let sampled = |at: usize| Some(beside.rho_of_samples[at]? - control.rho_of_samples[at]?);
        with_interval(Score::from_value(over), self.samples.interval(over, sampled))
    }
}

fn correlations(samples: &CellSamples, a: &Sampled, b: &Sampled) -> Vec<Option<f64>> {
    (0..samples.resamples()).map(|at| pearson(a.at(at), b.at(at))).collect()
}

fn with_interval(score: Score, interval: Option<(f64, f64)>) -> Score {
    match interval {
        Some((low, high)) => score.with_interval(low, high),
        None => score,
    }
}

fn or_undefined(value: Option<f64>, reason: &str) -> Score {
    value.map_or_else(|| Score::missing(Status::Undefined, reason), Score::from_value)
}

/// Correlations inside groups.
struct Inside {
    mean: f64,
    /// Groups that have one.
    defined: usize,
    groups: usize,
}

impl Inside {
    fn of(groups: &[usize], a: &[f64], b: &[f64]) -> Option<Self> {
        let last = groups.iter().max().map_or(0, |g| g + 1);
        let mut members = vec![(Vec::new(), Vec::new()); last];
        for ((group, a), b) in groups.iter().zip(a).zip(b) {
            members[*group].0.push(*a);
            members[*group].1.push(*b);
        }
        members.retain(|(a, _)| !a.is_empty());
        let found: Vec<f64> =
            members.iter().filter(|(a, _)| a.len() >= FEWEST).filter_map(|(a, b)| spearman(a, b)).collect();
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        (!found.is_empty()).then_some(Self { mean, defined: found.len(), groups: members.len() })
    }
}
