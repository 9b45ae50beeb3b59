//! What each sequence of a text said of each cell.

/// Sums over the tokens of each sequence, cell by cell: what a score that is a mean over tokens was made from. A cell need not
/// have seen every sequence.
#[derive(Clone, PartialEq, Debug)]
pub struct SequenceTable {
    cells: usize,
    sequences: usize,
    /// `[cells, sequences]`; 0 where the cell did not see the sequence.
    sums: Vec<f64>,
    /// Tokens behind each sum, `[cells, sequences]`; 0 where the cell did not see the sequence.
    tokens: Vec<f64>,
}

impl SequenceTable {
    /// A table from sums and tokens, both `[cells, sequences]`, cell by cell. Tokens of 0 mean that the cell did not see the
    /// sequence.
    ///
    /// `None` unless the lengths fit, all numbers are finite, no tokens are negative, and every cell saw a sequence.
    pub fn new(sequences: usize, sums: Vec<f64>, tokens: Vec<f64>) -> Option<Self> {
        if sequences == 0 || sums.len() != tokens.len() || !sums.len().is_multiple_of(sequences) {
            return None;
        }
        let sound = sums.iter().zip(&tokens).all(|(s, t)| s.is_finite() && t.is_finite() && *t >= 0.0);
        let seen = tokens.chunks_exact(sequences).all(|of_cell| of_cell.iter().any(|t| *t > 0.0));
        (sound && seen).then(|| Self { cells: sums.len() / sequences, sequences, sums, tokens })
    }

    /// A table from means per token, `[cells, sequences]`, in which every cell saw every sequence; `tokens` is `[sequences]`.
    pub fn from_means(means: &[f64], tokens: &[f64]) -> Option<Self> {
        if tokens.is_empty() || !means.len().is_multiple_of(tokens.len()) {
            return None;
        }
        let cells = means.len() / tokens.len();
        let sums = means.chunks_exact(tokens.len()).flat_map(|row| row.iter().zip(tokens).map(|(m, t)| m * t));
        Self::new(tokens.len(), sums.collect(), tokens.repeat(cells))
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Number of sequences, seen by any cell or not.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// How many sequences a cell saw.
    pub fn seen(&self, cell: usize) -> usize {
        self.row(cell).filter(|(_, t)| *t > 0.0).count()
    }

    /// The sequences that every cell saw.
    pub fn common(&self) -> Vec<usize> {
        let by_all = |s: &usize| (0..self.cells).all(|cell| self.tokens[cell * self.sequences + s] > 0.0);
        (0..self.sequences).filter(by_all).collect()
    }

    /// Mean per token of every cell, over all the sequences it saw.
    pub fn means(&self) -> Vec<f64> {
        (0..self.cells).map(|cell| ratio(self.row(cell))).collect()
    }

    /// Mean per token of every cell over some sequences, each as often as `counts` (one for each sequence) says. A cell that
    /// saw none of them keeps its mean over all that it saw: there is nothing else to say of it.
    pub fn resampled(&self, counts: &[u16]) -> Vec<f64> {
        let of_cell = |cell: usize| {
            let drawn = self.row(cell).zip(counts).map(|((sum, t), n)| (sum * f64::from(*n), t * f64::from(*n)));
            let mean = ratio(drawn);
            if mean.is_finite() { mean } else { ratio(self.row(cell)) }
        };
        (0..self.cells).map(of_cell).collect()
    }

    /// The same table with the cells of `cells` only, in that order; `None` if one of them is not there.
    pub fn select(&self, cells: &[usize]) -> Option<Self> {
        if cells.iter().any(|c| *c >= self.cells) {
            return None;
        }
        let take = |of: &[f64]| {
            cells.iter().flat_map(|c| of[c * self.sequences..(c + 1) * self.sequences].iter().copied()).collect()
        };
        Self::new(self.sequences, take(&self.sums), take(&self.tokens))
    }

    /// The same table with every cell's sums scaled, so that its mean over the sequences it saw is that of `means`. A cell whose mean
    /// is 0, or whose scale overflows, keeps its own.
    ///
    /// # Panics
    /// If `means` are fewer than the cells.
    #[must_use]
    pub fn with_means(&self, means: &[f64]) -> Self {
        let mut scaled = self.clone();
        for (cell, own) in self.means().into_iter().enumerate() {
            let factor = means[cell] / own;
            if factor.is_finite() {
                scaled.sums[cell * self.sequences..(cell + 1) * self.sequences].iter_mut().for_each(|s| *s *= factor);
            }
        }
        scaled
    }

    fn row(&self, cell: usize) -> impl Iterator<Item = (f64, f64)> {
        let of_cell = cell * self.sequences..(cell + 1) * self.sequences;
        self.sums[of_cell.clone()].iter().copied().zip(self.tokens[of_cell].iter().copied())
    }
}

fn ratio(parts: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (sum, tokens) = parts.fold((0.0, 0.0), |(sum, tokens), (s, t)| (sum + s, tokens + t));
    sum / tokens
}
