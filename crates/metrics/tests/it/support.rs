//! Matrices and comparisons.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomo_map::Score;
use tomo_metrics::{Facts, METRICS, Matrix, Metric, Options};

/// An owned row-major matrix.
#[derive(Clone)]
pub(crate) struct Weights {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) values: Vec<f32>,
}

impl Weights {
    pub(crate) fn from_fn(rows: usize, cols: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let values = (0..rows * cols).map(|i| entry(i / cols, i % cols) as f32).collect();
        Self { rows, cols, values }
    }

    pub(crate) fn gaussian(rows: usize, cols: usize, sd: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Self::from_fn(rows, cols, |_, _| {
            let x: f64 = StandardNormal.sample(&mut rng);
            sd * x
        })
    }

    pub(crate) fn get(&self, row: usize, col: usize) -> f64 {
        f64::from(self.values[row * self.cols + col])
    }

    pub(crate) fn transposed(&self) -> Self {
        Self::from_fn(self.cols, self.rows, |i, j| self.get(j, i))
    }

    pub(crate) fn scaled(&self, by: f64) -> Self {
        Self::from_fn(self.rows, self.cols, |i, j| by * self.get(i, j))
    }

    pub(crate) fn matrix(&self) -> Matrix<'_> {
        Matrix { rows: self.rows, cols: self.cols, values: &self.values }
    }

    pub(crate) fn score(&self, id: &str) -> Score {
        score_of(metric(id), &Facts::new(self.matrix()))
    }

    pub(crate) fn value(&self, id: &str) -> f64 {
        let score = self.score(id);
        score.value().unwrap_or_else(|| panic!("{id}: {:?}", score.reason()))
    }
}

pub(crate) fn metric(id: &str) -> &'static Metric {
    METRICS.iter().find(|m| m.info.id == id).unwrap_or_else(|| panic!("no metric {id}"))
}

pub(crate) fn score_of(metric: &Metric, facts: &Facts<'_>) -> Score {
    let score = metric.kind.score(facts, &Options::default());
    score.unwrap_or_else(|| panic!("{} is not of the weights", metric.info.id))
}

/// Fails on NaN, too.
#[track_caller]
pub(crate) fn assert_close(actual: f64, expected: f64, relative: f64) {
    let off = (actual - expected).abs();
    assert!(off <= relative * expected.abs(), "{actual} is not within {relative} of {expected} (off by {off:e})");
}
