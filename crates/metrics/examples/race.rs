//! What racing saves and costs, tried on a table of an exact scan: `race MEASURED.json [TEXTS] [SEQUENCES]`.
//!
//! From the sequences of `measured.json` it draws TEXTS texts of SEQUENCES sequences each (200 of 16 unless said) in random order,
//! races the cells over each, and compares with what all of its sequences give, and with what all sequences of the file give.

use std::error::Error;
use std::io::Write;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tomo_map::stats::{Bootstrap, SequenceTable, spearman, split_half};
use tomo_metrics::{Race, Standings};

/// Sums over the tokens of every sequence, `[cells][sequences]`.
struct Table {
    metric: String,
    sums: Vec<Vec<f64>>,
    tokens: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: race MEASURED.json [TEXTS] [SEQUENCES]")?;
    let texts: u64 = args.next().map_or(Ok(200), |n| n.parse())?;
    let sequences: usize = args.next().map_or(Ok(16), |n| n.parse())?;
    let measured: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    for metric in measured["metrics"].as_array().ok_or("no metrics")? {
        let table = Table::read(metric).ok_or("not every cell was measured on every sequence: scan with --exact")?;
        table.reliability()?;
        table.race(texts, sequences.min(table.tokens.len()))?;
    }
    Ok(())
}

impl Table {
    fn read(metric: &Value) -> Option<Self> {
        let numbers = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
        let tokens = numbers(&metric["tokens"])?;
        let sums = metric["cells"].as_array()?.iter().filter(|cell| cell.get("same_as").is_none()).map(|cell| {
            Some(numbers(&cell["value"])?.iter().zip(&tokens).map(|(value, tokens)| value * tokens).collect())
        });
        let sums: Vec<Vec<f64>> = sums.collect::<Option<_>>()?;
        Some(Self { metric: metric["metric"].as_str()?.to_owned(), sums, tokens })
    }

    /// The table of some sequences in that order.
    fn of(&self, sequences: &[usize]) -> Self {
        let take = |row: &Vec<f64>| sequences.iter().map(|s| row[*s]).collect();
        Self { metric: self.metric.clone(), sums: self.sums.iter().map(take).collect(), tokens: take(&self.tokens) }
    }

    fn means(&self) -> Vec<f64> {
        let whole: f64 = self.tokens.iter().sum();
        self.sums.iter().map(|row| row.iter().sum::<f64>() / whole).collect()
    }

    fn reliability(&self) -> Result<(), Box<dyn Error>> {
        let table = SequenceTable::new(self.tokens.len(), self.sums.concat(), self.tokens.repeat(self.sums.len()));
        let found = table.and_then(|table| split_half(&table, 400, 0)).ok_or("no reliability")?;
        let mut out = std::io::stdout();
        let (cells, ceiling) = (self.sums.len(), found.ceiling.unwrap_or(f64::NAN));
        writeln!(out, "{}: {cells} cells, {} sequences", self.metric, found.sequences)?;
        writeln!(out, "  split-half {:.4}, whole {:.4}, ceiling {ceiling:.4}", found.half, found.whole)?;
        Ok(())
    }

    fn race(&self, texts: u64, sequences: usize) -> Result<(), Box<dyn Error>> {
        let (mut sums, mut rho) = (Outcome::default(), 0.0);
        let truth = self.means();
        for text in 0..texts {
            let mut order: Vec<usize> = (0..self.tokens.len()).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(text));
            let drawn = self.of(&order[..sequences]);
            let race = Race::new(drawn.sums.len(), sequences, text).ok_or("too little to race")?;
            let (targets, standings) = drawn.run(&race);
            sums.add(&drawn, &race, &targets, &standings, &truth, text);
            let found: Vec<f64> = standings.cells.iter().map(|cell| cell.mean).collect();
            rho += spearman(&found, &drawn.means()).unwrap_or(f64::NAN);
        }
        let cells = self.sums.len();
        sums.print(texts, cells, sequences, rho / texts as f64)
    }

    fn run(&self, race: &Race) -> (Vec<usize>, Standings) {
        let mut targets = race.start();
        loop {
            let of = |(row, target): (&Vec<f64>, &usize)| {
                row.iter().enumerate().map(|(s, k)| (s < *target).then_some(*k)).collect()
            };
            let seen: Vec<Vec<Option<f64>>> = self.sums.iter().zip(&targets).map(of).collect();
            match race.next(&seen, &self.tokens) {
                Some(next) => targets = next,
                None => return (targets, race.standings(&seen, &self.tokens)),
            }
        }
    }
}

#[derive(Default)]
struct Outcome {
    passes: usize,
    same: usize,
    in_common: usize,
    top: usize,
    /// Logarithms of estimate over the text's exact value, of cells that stopped early.
    off: Vec<f64>,
    /// Means of the same by text.
    common: Vec<f64>,
    /// Cells whose interval holds the value of all sequences of the file, and cells: stopped early, and exact ones with the
    /// bootstrap.
    stopped: (usize, usize),
    exact: (usize, usize),
}

impl Outcome {
    fn add(&mut self, drawn: &Table, race: &Race, targets: &[usize], standings: &Standings, truth: &[f64], seed: u64) {
        let exact = drawn.means();
        let found: Vec<f64> = standings.cells.iter().map(|cell| cell.mean).collect();
        let (a, b) = (highest(&exact, race.top()), highest(&found, race.top()));
        self.top = race.top();
        self.in_common += a.iter().filter(|at| b.contains(at)).count();
        self.same += usize::from(a == b);
        self.passes += targets.iter().sum::<usize>();
        let bootstrap = Bootstrap::new(drawn.tokens.len(), 1000, seed);
        let text = standings.text_variance(&drawn.tokens, &bootstrap);
        let mut off = Vec::new();
        for at in 0..exact.len() {
            let holds = |(low, high): (f64, f64)| usize::from(low <= truth[at] && truth[at] <= high);
            if let Some(interval) = bootstrap.ratio(&drawn.sums[at], &drawn.tokens) {
                self.exact = (self.exact.0 + holds(interval), self.exact.1 + 1);
            }
            if targets[at] < drawn.tokens.len() {
                off.push((found[at] / exact[at]).ln());
                if let Some(interval) = standings.interval(at, text) {
                    self.stopped = (self.stopped.0 + holds(interval), self.stopped.1 + 1);
                }
            }
        }
        self.common.push(mean(&off));
        self.off.extend(off);
    }

    fn print(&self, texts: u64, cells: usize, sequences: usize, rho: f64) -> Result<(), Box<dyn Error>> {
        let mut out = std::io::stdout();
        let texts = texts as f64;
        let all = texts * (cells * sequences) as f64;
        let share = |(some, of): (usize, usize)| 100.0 * some as f64 / of.max(1) as f64;
        let deviation = |x: &[f64]| mean(&x.iter().map(|v| (v - mean(x)).powi(2)).collect::<Vec<_>>()).sqrt();
        writeln!(out, "  {texts} texts of {sequences} sequences: {:.2} times fewer passes", all / self.passes as f64)?;
        writeln!(
            out,
            "  the highest {} the same in {:.1} % of the texts, {:.2} of them in common; rho with the exact map {rho:.4}",
            self.top,
            100.0 * self.same as f64 / texts,
            self.in_common as f64 / texts
        )?;
        writeln!(
            out,
            "  cells that stopped early: off by {:+.2} % in the mean, {:.1} % all alike from text to text, {:.1} % in all",
            100.0 * mean(&self.off),
            100.0 * deviation(&self.common),
            100.0 * deviation(&self.off)
        )?;
        writeln!(
            out,
            "  the value over all sequences of the file is in {:.1} % of their intervals, and in {:.1} % of exact ones",
            share(self.stopped),
            share(self.exact)
        )?;
        Ok(())
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn highest(values: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(count);
    order.sort_unstable();
    order
}
