//! How far a map that was measured on a text would come out the same on another text of the same kind.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Bootstrap, SequenceTable, ranks, spearman};

/// Agreement of a map with itself.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reliability {
    /// Spearman's correlation between maps of two halves of the sequences, mean over random halves.
    pub half: f64,
    /// What two maps of all the sequences would agree to: Spearman and Brown's `2r / (1 + r)`.
    pub whole: f64,
    /// Highest correlation with this map that a map without any noise could be expected to have: the root of `whole`. `None`
    /// where `whole` is not positive.
    pub ceiling: Option<f64>,
    /// Sequences that were halved: those that every cell saw.
    pub sequences: usize,
    /// Random halves in the mean.
    pub splits: usize,
}

/// Split-half reliability of a table: its sequences are halved at random `splits` times (one is left out of an odd number),
/// and the maps of the two halves compared.
///
/// Only sequences that every cell saw are halved, so that both halves are maps of all cells; where cells saw different numbers, the
/// result is that of a map of those sequences alone. `None` for fewer than two of them, or where no half has an order.
pub fn split_half(table: &SequenceTable, splits: usize, seed: u64) -> Option<Reliability> {
    let common = table.common();
    let half = common.len() / 2;
    if half == 0 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order = common.clone();
    let mut found = Vec::with_capacity(splits);
    for _ in 0..splits {
        order.shuffle(&mut rng);
        let of = |chosen: &[usize]| {
            let mut counts = vec![0_u16; table.sequences()];
            chosen.iter().for_each(|s| counts[*s] = 1);
            table.resampled(&counts)
        };
        found.extend(spearman(&of(&order[..half]), &of(&order[half..2 * half])));
    }
    if found.is_empty() {
        return None;
    }
    let r = found.iter().sum::<f64>() / found.len() as f64;
    let whole = spearman_brown(r, 2.0);
    let ceiling = (whole > 0.0).then(|| whole.sqrt());
    Some(Reliability { half: r, whole, ceiling, sequences: common.len(), splits: found.len() })
}

/// Reliability of a measurement `times` as long as one of reliability `r` (Spearman 1910; Brown 1910). Negative ones, which only
/// noise gives, stay as they are: the formula means nothing there.
pub fn spearman_brown(r: f64, times: f64) -> f64 {
    if r <= 0.0 { r } else { times * r / (1.0 + (times - 1.0) * r) }
}

/// The place of one cell in the order of all, 1 for the highest value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RankInterval {
    /// Its place by all sequences; ties share their mean place.
    pub rank: f64,
    /// Its 95 % interval over resampled sequences.
    pub low: f64,
    /// The interval's other end.
    pub high: f64,
}

/// Places of all cells with 95 % percentile intervals over `resamples` resamples of the sequences, the same ones for every cell.
/// `None` for fewer than two sequences.
pub fn rank_intervals(table: &SequenceTable, resamples: usize, seed: u64) -> Option<Vec<RankInterval>> {
    let drawn = Bootstrap::new(table.sequences(), resamples, seed);
    if drawn.resamples() == 0 {
        return None;
    }
    let mut places = vec![Vec::with_capacity(drawn.resamples()); table.cells()];
    for counts in drawn.counts() {
        let sample = from_the_top(&table.resampled(counts));
        places.iter_mut().zip(sample).for_each(|(of_cell, place)| of_cell.push(place));
    }
    let with_interval = |(rank, of_cell): (f64, Vec<f64>)| {
        let (low, high) = Bootstrap::percentiles(of_cell)?;
        Some(RankInterval { rank, low, high })
    };
    from_the_top(&table.means()).into_iter().zip(places).map(with_interval).collect()
}

fn from_the_top(values: &[f64]) -> Vec<f64> {
    let last = values.len() as f64 + 1.0;
    ranks(values).into_iter().map(|rank| last - rank).collect()
}

impl RankInterval {
    /// Which tenth of `cells` a place is in, 0 for the first.
    pub fn decile(place: f64, cells: usize) -> usize {
        // Places 1 to n; a mean place of ties may lie between two.
        let at = ((place - 0.5) / cells.max(1) as f64 * 10.0).floor();
        (at.max(0.0) as usize).min(9)
    }

    /// Whether the whole interval lies in the tenth of the order that the cell itself is in.
    pub fn keeps_its_decile(&self, cells: usize) -> bool {
        let decile = |place| Self::decile(place, cells);
        decile(self.low) == decile(self.rank) && decile(self.high) == decile(self.rank)
    }
}

/// Share of the cells whose interval keeps out of the neighbouring tenths of the order. `None` of no cells.
pub fn share_in_own_decile(intervals: &[RankInterval]) -> Option<f64> {
    let cells = intervals.len();
    let kept = intervals.iter().filter(|i| i.keeps_its_decile(cells)).count();
    (cells > 0).then(|| kept as f64 / cells as f64)
}
