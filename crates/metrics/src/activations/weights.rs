//! Sweeps over the weights of one cell, in parallel over fixed runs of rows, so that the number of threads changes no bit.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::Matrix;

/// Most runs a matrix is cut into.
const RUNS: usize = 64;
/// Fewest rows of a run.
const FEWEST_ROWS: usize = 64;

/// Sums over the rows of W, one entry per column.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ColumnSums {
    /// Sum of |w|, `[n]`.
    pub(crate) abs: Vec<f64>,
    /// Sum of w^2, `[n]`.
    pub(crate) squares: Vec<f64>,
}

/// Entries per run.
fn run_length(matrix: Matrix<'_>) -> usize {
    matrix.rows.div_ceil(RUNS).max(FEWEST_ROWS) * matrix.cols.max(1)
}

/// Both sums in one sweep.
pub(crate) fn column_sums(matrix: Matrix<'_>) -> ColumnSums {
    let runs: Vec<(Vec<f64>, Vec<f64>)> = matrix
        .values
        .par_chunks(run_length(matrix))
        .map(|run| {
            let (mut abs, mut squares) = (vec![0.0; matrix.cols], vec![0.0; matrix.cols]);
            add_columns(run, &mut abs, &mut squares);
            (abs, squares)
        })
        .collect();
    let mut sums = ColumnSums { abs: vec![0.0; matrix.cols], squares: vec![0.0; matrix.cols] };
    for (abs, squares) in runs {
        sums.abs.iter_mut().zip(abs).for_each(|(sum, part)| *sum += part);
        sums.squares.iter_mut().zip(squares).for_each(|(sum, part)| *sum += part);
    }
    sums
}

#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn add_columns(run: &[f32], abs: &mut [f64], squares: &mut [f64]) {
    for row in run.chunks_exact(abs.len().max(1)) {
        for ((abs, squares), w) in abs.iter_mut().zip(squares.iter_mut()).zip(row) {
            let w = f64::from(*w);
            *abs += w.abs();
            *squares += w * w;
        }
    }
}

/// Which weights are outliers, given a limit on |w| for each column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    /// Above it the weight is one on the whole text, `[n]`.
    pub(crate) text: &'a [f32],
    /// At or below it the weight is one in no resample, `[n]`.
    pub(crate) never: &'a [f32],
    /// Above it the weight is one in every resample, `[n]`.
    pub(crate) always: &'a [f32],
}

/// A weight that is an outlier in some resamples and not in others: its column and |w|.
pub(crate) type Doubtful = (u32, f32);

/// Counts by [`Limits`].
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Outliers {
    pub(crate) on_text: usize,
    pub(crate) always: usize,
    /// Sorted by column.
    pub(crate) doubtful: Vec<Doubtful>,
}

/// Counts the outliers in one sweep.
pub(crate) fn outliers(matrix: Matrix<'_>, limits: Limits<'_>) -> Outliers {
    let runs: Vec<Outliers> =
        matrix.values.par_chunks(run_length(matrix)).map(|run| outliers_of_run(run, limits)).collect();
    let mut all = Outliers::default();
    for run in runs {
        all.on_text += run.on_text;
        all.always += run.always;
        all.doubtful.extend(run.doubtful);
    }
    // Columns are looked up in turn; weights of one column in any order give the same counts.
    all.doubtful.sort_unstable_by_key(|(column, _)| *column);
    all
}

#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn outliers_of_run(run: &[f32], limits: Limits<'_>) -> Outliers {
    /// Weights looked at together; most groups hold no outlier.
    const GROUP: usize = 32;
    let mut found = Outliers::default();
    let cols = limits.text.len().max(1);
    for row in run.chunks_exact(cols) {
        for (group, at) in row.chunks(GROUP).zip((0..).step_by(GROUP)) {
            let end = at + group.len();
            let (text, never, always) = (&limits.text[at..end], &limits.never[at..end], &limits.always[at..end]);
            let mut any = false;
            for ((w, text), never) in group.iter().zip(text).zip(never) {
                any |= (w.abs() > *text) | (w.abs() > *never);
            }
            if !any {
                continue;
            }
            for (i, w) in group.iter().enumerate() {
                let w = w.abs();
                found.on_text += usize::from(w > text[i]);
                found.always += usize::from(w > always[i]);
                if w > never[i] && w <= always[i] {
                    found.doubtful.push(((at + i) as u32, w));
                }
            }
        }
    }
    found
}
