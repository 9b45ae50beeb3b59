//! What is known of one cell while its layer runs, and what is left of it afterwards.

use std::ops::Range;

use rayon::prelude::*;
use tomo_model::engine::{CellGradients, Rows};

use super::demand::Demand;
use super::exchange::Exchange;
use super::output_error::{FormatSums, Numbers, Scratch, add_errors};
use super::sample::{LeftOut, Sample};
use super::sums::GradientSums;
use super::sweep::{RowSums, add_and_square, row_sums, square_sum, taylor_and_square};
use crate::StateError;

/// What every cell is looked at with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) demand: Demand,
    pub(crate) numbers: Numbers,
    /// Tokens of each sequence.
    pub(crate) lengths: Vec<usize>,
    /// Scored tokens of each sequence.
    pub(crate) scored: Vec<usize>,
    /// Group size of the integer formats.
    pub(crate) group: usize,
    pub(crate) seed: u64,
    /// Whether sequences are left out one by one.
    pub(crate) leaves_out: bool,
}

/// Memory that cells use one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workspace {
    /// dL/dW of one sequence, `[m, n]`.
    gradient: Vec<f32>,
    formats: Scratch,
}

/// One cell while its layer runs. Gradients are of the sums of the sequences' losses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    /// dL/dW of what was seen, `[m, n]`.
    gradient: Vec<f32>,
    sample: Option<Sample>,
    /// Sums over rows, by sequence; for the mean.
    rows: Vec<(usize, RowSums)>,
    /// Rows seen.
    tokens: usize,
    exchange: Exchange,
    done: Done,
}

/// What is left of a cell. Per sequence where nothing else is said.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize, Default)]
pub(crate) struct Done {
    /// Without tokens, which are the same for all cells.
    pub(crate) sums: Vec<GradientSums>,
    /// `sum_ij |W_ij G_ij|` and `||G||_F`, of everything.
    pub(crate) taylor: f64,
    pub(crate) norm: f64,
    /// `||W||_F`.
    pub(crate) weight_norm: f64,
    /// Empty where nothing was left out.
    pub(crate) left_out: Vec<LeftOut>,
    /// Parallel to the formats of the demand: sums, or why the format cannot round the cell.
    pub(crate) formats: Vec<Result<FormatSums, String>>,
}

impl Done {
    /// Takes what another pass knows of these sequences.
    pub(crate) fn absorb(&mut self, other: &Self, sequences: &[usize], numbers: Numbers) -> Result<(), StateError> {
        let foreign = || StateError::new("it is of other sequences or formats");
        if self.sums.len() != other.sums.len() || self.formats.len() != other.formats.len() {
            return Err(foreign());
        }
        sequences.iter().for_each(|s| self.sums[*s] = other.sums[*s]);
        for (own, its) in self.formats.iter_mut().zip(&other.formats) {
            match (own, its) {
                (Ok(own), Ok(its)) => own.absorb(its, sequences, numbers).ok_or_else(foreign)?,
                (Err(_), Err(_)) => {}
                _ => return Err(foreign()),
            }
        }
        Ok(())
    }
}

impl Running {
    pub(crate) fn new(plan: &Plan) -> Self {
        let Numbers { draws, sequences, .. } = plan.numbers;
        let formats = plan.demand.formats.iter().map(|weighed| Ok(FormatSums::new(weighed, sequences, draws)));
        let sums = vec![GradientSums::default(); sequences];
        Self { done: Done { sums, formats: formats.collect(), ..Done::default() }, ..Self::default() }
    }

    /// Takes a group of sequences.
    pub(crate) fn see(&mut self, seen: &CellGradients<'_>, plan: &Plan, workspace: &mut Workspace) {
        if let Some(text) = plan.numbers.text {
            if plan.demand.reads_weight_gradients() {
                self.see_weight_gradients(seen, text, plan, &mut workspace.gradient);
            }
            if plan.demand.reads_rows() {
                self.see_rows(seen, text, plan);
            }
            // An expert's tokens have no partner in another sequence.
            if plan.demand.sums.resample && seen.id.expert.is_none() {
                for span in seen.spans {
                    let (g, y) = of_span(seen, text, &span.rows);
                    let sums = &mut self.done.sums;
                    let mut known = |sequence: usize, sum: f64| sums[sequence].resample = sum;
                    self.exchange.see(span.sequence, &plan.lengths, g, y, &mut known);
                }
            }
        }
        let scratch = &mut workspace.formats;
        add_errors(seen, &plan.demand.formats, plan.group, plan.numbers, &mut self.done.formats, scratch);
    }

    fn see_weight_gradients(&mut self, seen: &CellGradients<'_>, text: usize, plan: &Plan, part: &mut Vec<f32>) {
        let numel = seen.weights.len();
        let is_first = self.gradient.is_empty();
        let leaves_out = plan.leaves_out && plan.demand.whole;
        if plan.demand.whole {
            self.gradient.resize(numel, 0.0);
        }
        if plan.demand.sums.squares || leaves_out {
            part.resize(numel, 0.0);
            for span in seen.spans {
                seen.weight_gradient(text, &span.rows, false, part);
                let square =
                    if plan.demand.whole { add_and_square(&mut self.gradient, part) } else { square_sum(part) };
                let scored = plan.scored[span.sequence] as f64;
                if scored > 0.0 {
                    self.done.sums[span.sequence].squares = square / (scored * scored);
                }
                if leaves_out {
                    let seed = plan.seed.wrapping_add(seen.cell as u64);
                    self.sample.get_or_insert_with(|| Sample::new(seen.weights, part, seed)).see(span.sequence, part);
                }
            }
        } else {
            seen.weight_gradient(text, &(0..seen.input.len()), !is_first, &mut self.gradient);
        }
        // The weights are here now and not when the layer is done. An expert may not come again.
        let is_last = seen.spans.last().is_some_and(|span| span.sequence + 1 == plan.lengths.len());
        if plan.demand.whole && (is_last || seen.id.expert.is_some()) {
            let (taylor, square) = taylor_and_square(seen.weights, &self.gradient);
            (self.done.taylor, self.done.norm) = (taylor, square.sqrt());
            self.done.weight_norm = square_sum(seen.weights).sqrt();
        }
    }

    fn see_rows(&mut self, seen: &CellGradients<'_>, text: usize, plan: &Plan) {
        let each: Vec<(usize, RowSums)> = seen
            .spans
            .par_iter()
            .map(|span| {
                let (g, y) = of_span(seen, text, &span.rows);
                (span.sequence, row_sums(g, y))
            })
            .collect();
        for (sequence, rows) in &each {
            let sums = &mut self.done.sums[*sequence];
            let biased: f64 =
                seen.bias.map_or(0.0, |bias| bias.iter().zip(&rows.gradient).map(|(b, g)| f64::from(*b) * g).sum());
            sums.zero = -rows.product;
            sums.product = rows.product - biased;
        }
        self.tokens += seen.spans.iter().map(|span| span.rows.len()).sum::<usize>();
        if plan.demand.sums.mean {
            self.rows.extend(each);
        }
    }

    /// The layer is done.
    pub(crate) fn finish(mut self, plan: &Plan) -> Done {
        if let Some(sample) = &self.sample {
            self.done.left_out = sample.left_out(plan.lengths.len());
        }
        if plan.demand.sums.mean {
            let cols = self.rows.first().map_or(0, |(_, rows)| rows.output.len());
            let mut mean = vec![0.0; cols];
            for (_, rows) in &self.rows {
                mean.iter_mut().zip(&rows.output).for_each(|(mean, y)| *mean += y);
            }
            mean.iter_mut().for_each(|mean| *mean /= self.tokens as f64);
            for (sequence, rows) in &self.rows {
                let at_mean: f64 = rows.gradient.iter().zip(&mean).map(|(g, mean)| g * mean).sum();
                self.done.sums[*sequence].mean = at_mean - rows.product;
            }
        }
        self.done
    }
}

/// Gradients and outputs of some rows.
fn of_span<'a>(seen: &CellGradients<'a>, objective: usize, rows: &Range<usize>) -> (Rows<'a>, Rows<'a>) {
    (seen.gradients[objective].slice(rows.start, rows.len()), seen.output.slice(rows.start, rows.len()))
}
