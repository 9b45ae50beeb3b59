//! Mean squares of input columns in many resamples at once.

use multiversion::multiversion;
use rayon::prelude::*;
use tomo_map::stats::Bootstrap;

/// Mean squares of the inputs of some cells: per sequence, and over all of them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Energies {
    /// n.
    pub(crate) cols: usize,
    /// A: mean of x_j^2 over all tokens, `[n]`.
    pub(crate) mean: Vec<f64>,
    /// Tokens of all sequences together.
    pub(crate) tokens: f64,
    /// Numbers of the sequences that have tokens here, ascending: S of them. Empty when only the mean is known.
    pub(crate) sequences: Vec<usize>,
    /// Their tokens, `[S]`.
    pub(crate) sequence_tokens: Vec<f64>,
    /// Sums of x_j^2 over their tokens, `[S, n]`.
    pub(crate) sums: Vec<f64>,
}

impl Energies {
    /// From the sums of each sequence, in the order of their numbers: number, tokens, sums of squares `[n]`.
    pub(crate) fn new(cols: usize, seen: impl Iterator<Item = (usize, f64, Vec<f64>)>) -> Self {
        let mut energies = Self {
            cols,
            mean: vec![0.0; cols],
            tokens: 0.0,
            sequences: Vec::new(),
            sequence_tokens: Vec::new(),
            sums: Vec::new(),
        };
        for (sequence, tokens, sums) in seen {
            energies.sequences.push(sequence);
            energies.sequence_tokens.push(tokens);
            energies.tokens += tokens;
            energies.mean.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean += sum);
            energies.sums.extend(sums);
        }
        let tokens = energies.tokens;
        energies.mean.iter_mut().for_each(|mean| *mean /= tokens);
        energies
    }

    /// From mean squares of which nothing else is known.
    pub(crate) fn from_mean(mean: Vec<f64>, tokens: f64) -> Self {
        Self { cols: mean.len(), mean, tokens, sequences: Vec::new(), sequence_tokens: Vec::new(), sums: Vec::new() }
    }

    /// Whether sequences can be drawn from.
    pub(crate) fn can_resample(&self, bootstrap: &Bootstrap) -> bool {
        self.sequences.len() > 1 && bootstrap.resamples() > 0
    }

    /// Calls `visit` for each block of resamples, in parallel; the answers in the order of the blocks.
    pub(crate) fn by_block<T: Send>(
        &self,
        bootstrap: &Bootstrap,
        visit: impl Fn(&Lanes<'_>) -> T + Sync,
    ) -> Vec<(usize, T)> {
        if !self.can_resample(bootstrap) {
            return Vec::new();
        }
        let by_column = self.by_column();
        let all: Vec<&[u16]> = bootstrap.counts().collect();
        let block = |samples: &[&[u16]]| {
            let mut values = vec![[0.0; Lanes::WIDTH]; self.cols];
            mean_of_resamples(&by_column, &self.counts(samples), &self.sequence_tokens, &mut values);
            (samples.len(), visit(&Lanes { values: &values }))
        };
        all.par_chunks(Lanes::WIDTH).map(block).collect()
    }

    /// The sums transposed, `[n, S]`, in f32: the resamples are for the ends of intervals.
    fn by_column(&self) -> Vec<f32> {
        let count = self.sequences.len();
        let mut by_column = vec![0.0; self.sums.len()];
        for (s, sums) in self.sums.chunks_exact(self.cols.max(1)).enumerate() {
            for (j, sum) in sums.iter().enumerate() {
                by_column[j * count + s] = *sum as f32;
            }
        }
        by_column
    }

    /// How often each of this place's sequences is in each resample of a block, `[S]`.
    fn counts(&self, samples: &[&[u16]]) -> Vec<[f32; Lanes::WIDTH]> {
        let lane = |s: &usize| {
            let mut lane = [0.0; Lanes::WIDTH];
            lane.iter_mut().zip(samples).for_each(|(n, sample)| *n = f32::from(sample[*s]));
            lane
        };
        self.sequences.iter().map(lane).collect()
    }
}

/// Mean squares of each input column in a block of resamples: column by column, one entry per resample. Entries of a
/// resample that drew no token are NaN, and so are those behind a short last block.
#[derive(Clone, Copy, Debug)]
pub struct Lanes<'a> {
    /// A of each resample, `[n][WIDTH]`.
    pub values: &'a [[f32; Lanes::WIDTH]],
}

impl Lanes<'_> {
    /// Resamples side by side.
    pub const WIDTH: usize = 64;
}

#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn mean_of_resamples(
    by_column: &[f32],
    counts: &[[f32; Lanes::WIDTH]],
    tokens: &[f64],
    out: &mut [[f32; Lanes::WIDTH]],
) {
    let mut drawn = [0.0_f32; Lanes::WIDTH];
    for (counts, tokens) in counts.iter().zip(tokens) {
        for i in 0..Lanes::WIDTH {
            drawn[i] += counts[i] * *tokens as f32;
        }
    }
    // 0 / 0 where nothing was drawn.
    let per_token = drawn.map(|tokens| if tokens > 0.0 { 1.0 / tokens } else { f32::NAN });
    for (out, sums) in out.iter_mut().zip(by_column.chunks_exact(counts.len())) {
        let mut lanes = [0.0_f32; Lanes::WIDTH];
        for (counts, sum) in counts.iter().zip(sums) {
            for i in 0..Lanes::WIDTH {
                // One rounding on every machine; a separate product and sum would take twice as long.
                lanes[i] = counts[i].mul_add(*sum, lanes[i]);
            }
        }
        for i in 0..Lanes::WIDTH {
            out[i] = lanes[i] * per_token[i];
        }
    }
}

/// The finite ends of what the blocks gave, one value per resample.
pub(crate) fn interval(blocks: Vec<(usize, [f32; Lanes::WIDTH])>) -> Option<(f64, f64)> {
    let values = blocks.iter().flat_map(|(count, lanes)| lanes[..*count].iter().map(|v| f64::from(*v)));
    Bootstrap::percentiles(values.collect())
}
