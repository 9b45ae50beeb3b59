//! Intervals of statistics that compare two columns: cells are drawn anew, and the sequences behind them.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Bootstrap, SequenceTable, ranks};

/// Random samples of cells, with replacement, each as large as the original: the same ones for every column, so that columns
/// are compared in pairs.
///
/// ```
/// use tomo_map::stats::{Bootstrap, CellSamples, SequenceTable, pearson, spearman};
///
/// let proxy = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// // Six cells, two sequences of ten and thirty tokens: means per token.
/// let means = [0.1, 0.2, 0.3, 0.2, 0.2, 0.3, 0.5, 0.6, 0.4, 0.4, 0.8, 0.9];
/// let truth = SequenceTable::from_means(&means, &[10.0, 30.0]).ok_or("sizes")?;
///
/// let samples = CellSamples::new(6, 2000, 0);
/// let (a, b) = (samples.of_values(&proxy).ranked(), samples.of_table(&truth, 0).ranked());
/// let rho = spearman(&proxy, &truth.means()).ok_or("constant")?;
/// let (low, high) = samples.correlation_interval(rho, |at| pearson(a.at(at), b.at(at))).ok_or("constant")?;
/// assert!(low <= rho && rho <= high);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug)]
pub struct CellSamples {
    cells: usize,
    /// `[resamples, cells]`: which cell was drawn.
    picks: Vec<u32>,
}

impl CellSamples {
    /// Draws the samples. Fewer than two cells give none.
    pub fn new(cells: usize, resamples: usize, seed: u64) -> Self {
        let cells_u32 = u32::try_from(cells).unwrap_or(0);
        let resamples = if cells_u32 < 2 { 0 } else { resamples };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let picks = (0..cells * resamples).map(|_| rng.random_range(0..cells_u32)).collect();
        Self { cells, picks }
    }

    /// Every cell once in each sample: for intervals over sequences alone.
    pub fn all_cells(cells: usize, resamples: usize) -> Self {
        let one: Vec<u32> = (0..u32::try_from(cells).unwrap_or(0)).collect();
        Self { cells, picks: one.repeat(resamples) }
    }

    /// Number of samples.
    pub fn resamples(&self) -> usize {
        self.picks.len() / self.cells.max(1)
    }

    /// The cells of one sample.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn picks(&self, at: usize) -> &[u32] {
        &self.picks[at * self.cells..(at + 1) * self.cells]
    }

    /// Values that have no noise of their own, one for each cell, as the samples have them.
    ///
    /// # Panics
    /// If `values` are fewer than the cells.
    pub fn of_values(&self, values: &[f64]) -> Sampled {
        Sampled { cells: self.cells, values: self.picks.iter().map(|p| values[*p as usize]).collect() }
    }

    /// Means over sequences that are drawn anew for each sample. Tables over the same sequences take the same `seed` and are
    /// then paired; others take different ones.
    ///
    /// # Panics
    /// If the table has fewer cells.
    pub fn of_table(&self, table: &SequenceTable, seed: u64) -> Sampled {
        let drawn = Bootstrap::new(table.sequences(), self.resamples(), seed);
        if drawn.resamples() == 0 {
            return self.of_values(&table.means());
        }
        let mut values = Vec::with_capacity(self.picks.len());
        for (at, counts) in drawn.counts().enumerate() {
            let means = table.resampled(counts);
            values.extend(self.picks(at).iter().map(|p| means[*p as usize]));
        }
        Sampled { cells: self.cells, values }
    }

    /// 95 % interval of a correlation whose value on all cells is `point`; `statistic` gives it for a sample by number.
    ///
    /// Basic bootstrap on Fisher's scale, atanh r: a sample of a sample is noisier than the sample itself, so that correlations of
    /// resamples lie below `point` by about as much as `point` lies below what noiseless columns would have. Their
    /// distance from it is therefore turned around (Davison and Hinkley 1997, 5.2). Where `point` itself falls out of that
    /// interval it is widened to hold it. Samples without a correlation (a constant column) are left out. `None` if none
    /// has one.
    pub fn correlation_interval(&self, point: f64, statistic: impl FnMut(usize) -> Option<f64>) -> Option<(f64, f64)> {
        /// Correlations closer to 1 than this are 1.
        const NEAREST: f64 = 1.0 - 1e-15;
        let z = |r: f64| r.clamp(-NEAREST, NEAREST).atanh();
        let (low, high) = turned_around(z(point), (0..self.resamples()).filter_map(statistic).map(z).collect())?;
        Some((low.tanh().min(point), high.tanh().max(point)))
    }

    /// 95 % interval of any other statistic, a difference of two correlations for instance, as above but on its own scale.
    pub fn interval(&self, point: f64, statistic: impl FnMut(usize) -> Option<f64>) -> Option<(f64, f64)> {
        let (low, high) = turned_around(point, (0..self.resamples()).filter_map(statistic).collect())?;
        Some((low.min(point), high.max(point)))
    }
}

fn turned_around(point: f64, resampled: Vec<f64>) -> Option<(f64, f64)> {
    let (low, high) = Bootstrap::percentiles(resampled)?;
    Some((2.0 * point - high, 2.0 * point - low))
}

/// A column as each sample has it.
#[derive(Clone, PartialEq, Debug)]
pub struct Sampled {
    cells: usize,
    /// `[resamples, cells]`.
    values: Vec<f64>,
}

impl Sampled {
    /// The column as sample number `at` has it, in the order of its picks.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn at(&self, at: usize) -> &[f64] {
        &self.values[at * self.cells..(at + 1) * self.cells]
    }

    /// Ranks within each sample in place of the values: Spearman's correlation is then [`pearson`](super::pearson).
    #[must_use]
    pub fn ranked(self) -> Self {
        let cells = self.cells.max(1);
        Self { cells: self.cells, values: self.values.chunks_exact(cells).flat_map(ranks).collect() }
    }
}
