//! Racing: which cells are measured on more sequences.
//!
//! Every cell gets the first few sequences of one random order. From then on the cells whose interval still holds the border
//! between the highest tenth and the rest get as many again, until there is none, or they have had all. A few cells drawn
//! at random, the panel, get all sequences from the start: what they say of the sequences' difficulty corrects the means of
//! cells that saw only some of them. Drawn at random, it owes nothing to what was measured; the cells that stayed in the race
//! do, and would pull the others' scores down.
//!
//! The rule knows numbers only, and decides the same whenever it is given the same numbers.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};
use tomo_map::stats::Bootstrap;

/// Sequences that every cell gets first, at least.
const FIRST: usize = 2;
/// Of more sequences, this part comes first.
const FIRST_PART: usize = 16;
/// Fewest sequences and cells that are raced: with less there is nothing to save.
const FEWEST_SEQUENCES: usize = 4;
const FEWEST_CELLS: usize = 20;
/// One cell in so many is in the panel, which has at least `SMALLEST_PANEL`.
const PANEL_PART: usize = 30;
const SMALLEST_PANEL: usize = 3;
/// Degrees of freedom that the other cells' variance counts for.
const PRIOR_FREEDOM: f64 = 3.0;
/// Their variance is taken at this place in the order of all: above the middle, for the cells that matter are not the even
/// ones.
const PRIOR_QUANTILE: f64 = 0.75;
/// One-sided probability with which a cell's side of the border is settled: that of 2.3 standard deviations.
const SETTLED: f64 = 0.989_275_9;
/// One-sided probability of an end of a 95 % interval.
const END: f64 = 0.975;

/// A race between cells over sequences.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Race {
    cells: usize,
    sequences: usize,
    first: usize,
    /// How many cells make the highest tenth.
    top: usize,
    panel: Vec<usize>,
}

/// What is known of the cells at some point of a race.
#[derive(Clone, PartialEq, Debug)]
pub struct Standings {
    /// Per cell.
    pub cells: Vec<Standing>,
    /// Share of the text's total that each sequence has, by the panel: it sums to 1.
    pub difficulty: Vec<f64>,
    sequences: usize,
    /// Variance that the panel's smallness leaves in a sequence's share, relative.
    panel_variance: f64,
}

/// What is known of one cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Standing {
    /// Mean per token over all sequences, estimated where the cell has not seen all.
    pub mean: f64,
    /// Sequences it has seen.
    pub seen: usize,
    /// Variance of a sequence around what its difficulty leads one to expect, relative to the mean squared; drawn towards that
    /// of the other cells.
    pub variance: f64,
}

impl Race {
    /// A race of `cells` cells over `sequences` sequences; `None` where there is too little to save.
    pub fn new(cells: usize, sequences: usize, seed: u64) -> Option<Self> {
        if cells < FEWEST_CELLS || sequences < FEWEST_SEQUENCES {
            return None;
        }
        let mut order: Vec<usize> = (0..cells).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        order.truncate(cells.div_ceil(PANEL_PART).max(SMALLEST_PANEL));
        order.sort_unstable();
        Some(Self { cells, sequences, first: FIRST.max(sequences / FIRST_PART), top: cells / 10, panel: order })
    }

    /// Cells that get all sequences whatever they say, ascending.
    pub fn panel(&self) -> &[usize] {
        &self.panel
    }

    /// How many cells make the highest tenth, which is to be settled.
    pub fn top(&self) -> usize {
        self.top
    }

    /// How many sequences of the order each cell gets first.
    pub fn start(&self) -> Vec<usize> {
        let mut targets = vec![self.first; self.cells];
        self.panel.iter().for_each(|at| targets[*at] = self.sequences);
        targets
    }

    /// How many sequences each cell gets next; `None` when all is settled. `sums` has for each cell the sum over the tokens of
    /// every sequence that it has seen; `tokens` the tokens of each sequence.
    pub fn next(&self, sums: &[Vec<Option<f64>>], tokens: &[f64]) -> Option<Vec<usize>> {
        let standings = self.standings(sums, tokens);
        let contested = standings.contested(self.top);
        let open = |at: &usize| contested[*at] && standings.cells[*at].seen < self.sequences;
        let open: Vec<usize> = (0..contested.len()).filter(open).collect();
        if open.is_empty() {
            return None;
        }
        let mut targets: Vec<usize> = standings.cells.iter().map(|cell| cell.seen).collect();
        open.into_iter().for_each(|at| targets[at] = (2 * targets[at]).max(self.first).min(self.sequences));
        Some(targets)
    }

    /// What is known of each cell.
    pub fn standings(&self, sums: &[Vec<Option<f64>>], tokens: &[f64]) -> Standings {
        Standings::new(&self.panel, sums, tokens)
    }
}

impl Standings {
    /// Of cells of which these, a panel, are thought to have seen all.
    pub(crate) fn new(panel: &[usize], sums: &[Vec<Option<f64>>], tokens: &[f64]) -> Self {
        let sequences = tokens.len();
        let whole: f64 = tokens.iter().sum();
        let (difficulty, panel_variance) = difficulty(panel, sums, tokens);
        let seen: Vec<Seen> = sums.iter().map(|own| Seen::new(own, &difficulty)).collect();
        let mut known: Vec<f64> = seen.iter().filter_map(|seen| seen.variance).collect();
        known.sort_by(f64::total_cmp);
        let prior = known.get((PRIOR_QUANTILE * known.len().saturating_sub(1) as f64).round() as usize).copied();
        let standing = |seen: &Seen| {
            let freedom = seen.count.saturating_sub(1) as f64;
            let share = if seen.count == sequences { 1.0 } else { seen.share };
            // Where nothing varies, or nothing can be said of it, the others' variance is all there is.
            let (own, counted) = seen.variance.map_or((0.0, 0.0), |v| (freedom * v, freedom));
            let variance = (PRIOR_FREEDOM * prior.unwrap_or(0.0) + own) / (PRIOR_FREEDOM + counted);
            Standing { mean: seen.total / share / whole, seen: seen.count, variance }
        };
        let cells = seen.iter().map(standing).collect();
        Self { cells, difficulty, sequences, panel_variance }
    }

    /// Which cells may be on either side of the border below the `top` highest.
    pub fn contested(&self, top: usize) -> Vec<bool> {
        let mut means: Vec<f64> = self.cells.iter().map(|cell| cell.mean).collect();
        means.sort_by(|a, b| b.total_cmp(a));
        let (Some(last_in), Some(first_out)) = (top.checked_sub(1).and_then(|at| means.get(at)), means.get(top)) else {
            return vec![false; self.cells.len()];
        };
        let border = 0.5 * (last_in.ln() + first_out.ln());
        let quantiles = Quantiles::new(SETTLED);
        let is_contested = |cell: &Standing| {
            let rest = 1.0 - cell.seen as f64 / self.sequences as f64;
            let deviation = ((cell.variance + self.panel_variance) * rest / cell.seen.max(1) as f64).sqrt();
            // Zeros and infinities are where they are.
            cell.mean.ln().is_finite()
                && border.is_finite()
                && (cell.mean.ln() - border).abs() < quantiles.of(cell.seen) * deviation
        };
        self.cells.iter().map(is_contested).collect()
    }

    /// 95 % interval of a cell that has not seen all sequences, as one of other texts of this kind: what is open of the cell,
    /// of the sequences' difficulty, and of the text. `text_variance` is that of the text's mean difficulty, relative.
    pub fn interval(&self, cell: usize, text_variance: f64) -> Option<(f64, f64)> {
        let of = self.cells.get(cell)?;
        let seen = of.seen as f64;
        let unseen = (1.0 / seen - 1.0 / self.sequences as f64).max(0.0);
        let deviation = (of.variance / seen + self.panel_variance * unseen + text_variance).sqrt();
        let half = Quantiles::new(END).of(of.seen) * deviation;
        Some((of.mean * (-half).exp(), of.mean * half.exp()))
    }

    /// Relative variance of the mean difficulty of texts like this one.
    pub fn text_variance(&self, tokens: &[f64], bootstrap: &Bootstrap) -> f64 {
        let sum = |counts: &[u16], of: &[f64]| counts.iter().zip(of).map(|(n, x)| f64::from(*n) * x).sum::<f64>();
        let drawn: Vec<f64> = bootstrap.counts().map(|c| (sum(c, &self.difficulty) / sum(c, tokens)).ln()).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len().max(1) as f64;
        let squares: f64 = drawn.iter().map(|x| (x - mean).powi(2)).sum();
        squares / drawn.len().max(1) as f64
    }
}

/// The share of the text's total that each sequence has, and the relative variance that the panel's smallness leaves in it.
/// Without a panel, or where it is not complete or feels nothing: the tokens' share.
fn difficulty(panel: &[usize], sums: &[Vec<Option<f64>>], tokens: &[f64]) -> (Vec<f64>, f64) {
    let sequences = tokens.len();
    let profile = |at: &usize| -> Option<Vec<f64>> {
        let own: Vec<f64> = sums.get(*at)?.iter().copied().collect::<Option<_>>()?;
        let total: f64 = own.iter().sum();
        (total > 0.0 && total.is_finite()).then(|| own.iter().map(|k| k / total).collect())
    };
    let profiles: Vec<Vec<f64>> = panel.iter().filter_map(profile).collect();
    let count = profiles.len() as f64;
    if profiles.len() < 2 || sequences < 2 {
        let whole: f64 = tokens.iter().sum();
        return (tokens.iter().map(|t| t / whole).collect(), 0.0);
    }
    let mean: Vec<f64> = (0..sequences).map(|s| profiles.iter().map(|p| p[s]).sum::<f64>() / count).collect();
    let squares: f64 = profiles.iter().flat_map(|p| p.iter().zip(&mean)).map(|(x, m)| (x - m).powi(2)).sum();
    let of_one = squares * (sequences * sequences) as f64 / ((count - 1.0) * (sequences as f64 - 1.0));
    (mean, of_one / count)
}

/// What a cell has seen.
struct Seen {
    count: usize,
    total: f64,
    /// Of the text's difficulty.
    share: f64,
    /// Variance of its sequences around their difficulty, over the square of their mean; `None` where it has none.
    variance: Option<f64>,
}

impl Seen {
    fn new(own: &[Option<f64>], difficulty: &[f64]) -> Self {
        let known = || own.iter().zip(difficulty).filter_map(|(k, d)| Some(((*k)?, *d)));
        let (count, total) = (known().count(), known().map(|(k, _)| k).sum::<f64>());
        let share: f64 = known().map(|(_, d)| d).sum();
        let level = total / share;
        let squares: f64 = known().map(|(k, d)| (k - level * d).powi(2)).sum();
        let mean = total / count as f64;
        let variance = squares / (count as f64 - 1.0) / (mean * mean);
        let is_known = count > 1 && total > 0.0 && variance.is_finite();
        Self { count, total, share, variance: is_known.then_some(variance) }
    }
}

/// Quantiles of Student's t by sequences seen.
struct Quantiles(f64);

impl Quantiles {
    fn new(probability: f64) -> Self {
        Self(probability)
    }

    fn of(&self, seen: usize) -> f64 {
        let freedom = PRIOR_FREEDOM + seen.saturating_sub(1) as f64;
        StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(self.0))
    }
}
