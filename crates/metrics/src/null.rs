//! What random matrices score: the baseline of the `@null` forms.
//!
//! The matrix itself is never drawn. The singular values of an m x n matrix (m >= n) of independent standard normals are
//! distributed exactly as those of an upper bidiagonal matrix of independent chi variables, with m, m-1, .. m-n+1
//! degrees of freedom on the diagonal and n-1, .. 1 beside it (Silverstein 1985; Dumitriu and Edelman 2002): one draw
//! costs O(n^2) instead of O(m n^2), whatever the model's size.
//!
//! Baselines are of shape `long x short`: transposing changes no singular value. They are kept as singular values, so that
//! every metric can be scored on them, in the process and, if there is a directory, in one small file per shape.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{ChiSquared, Distribution};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::spectrum::{eigenvalues, singular_from_eigenvalues};
use crate::{Facts, Metric, Options};

/// Counts changes of how baselines are drawn; part of the file's name.
const VERSION: u32 = 1;

/// Singular values, descending, of some random matrices of one shape with unit variance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Baseline {
    version: u32,
    seed: u64,
    long: u64,
    short: u64,
    draws: Vec<Vec<f64>>,
}

/// Draws per shape: fewer where one costs more; large matrices vary less.
pub(crate) fn draws(short: usize) -> usize {
    match short {
        0..=1024 => 16,
        1025..=4096 => 8,
        _ => 4,
    }
}

/// Mean and standard deviation of a metric over the draws of a baseline.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Null {
    pub(crate) mean: f64,
    pub(crate) sd: f64,
}

impl Baseline {
    fn draw(long: usize, short: usize, seed: u64) -> Self {
        // One stream per draw of a shape: no draw depends on which others were made before, or by whom.
        let stream = |draw: usize| ((long as u64) << 36) ^ ((short as u64) << 8) ^ draw as u64;
        let draws = (0..draws(short)).into_par_iter().map(|draw| {
            let mut rng = ChaCha12Rng::seed_from_u64(seed);
            rng.set_stream(stream(draw));
            random_singular_values(long, short, &mut rng)
        });
        let draws = draws.collect();
        Self { version: VERSION, seed, long: long as u64, short: short as u64, draws }
    }

    /// Whether this is the baseline asked for and its numbers can be: a damaged file is not trusted.
    fn fits(&self, long: usize, short: usize, seed: u64) -> bool {
        let shape =
            self.version == VERSION && self.seed == seed && self.long == long as u64 && self.short == short as u64;
        let sound = |draw: &Vec<f64>| {
            draw.len() == short && draw.iter().all(|x| x.is_finite() && *x >= 0.0) && draw.is_sorted_by(|a, b| a >= b)
        };
        shape && self.draws.len() == draws(short) && self.draws.iter().all(sound)
    }

    /// What `metric` scores on the draws, if it scores on all of them.
    pub(crate) fn null(&self, metric: &Metric, options: &Options) -> Option<Null> {
        let values = self.draws.iter().map(|singular_values| {
            let facts = Facts::from_spectrum(self.long as usize, self.short as usize, singular_values.clone());
            metric.kind.score(&facts, options)?.value()
        });
        let values: Vec<f64> = values.collect::<Option<_>>()?;
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let sd = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
        Some(Null { mean, sd })
    }
}

/// Singular values of a random `long x short` matrix, descending.
fn random_singular_values(long: usize, short: usize, rng: &mut ChaCha12Rng) -> Vec<f64> {
    let mut chi_squared = |degrees: usize| ChiSquared::new(degrees as f64).map_or(0.0, |law| law.sample(rng));
    let diagonal: Vec<f64> = (0..short).map(|i| chi_squared(long - i)).collect();
    let beside: Vec<f64> = (1..short).map(|i| chi_squared(short - i)).collect();
    // B^T B of the bidiagonal B whose squares these are.
    let mut squares: Vec<f64> = (0..short).map(|i| diagonal[i] + if i > 0 { beside[i - 1] } else { 0.0 }).collect();
    let mut off: Vec<f64> = beside.iter().zip(&diagonal).map(|(b, d)| (b * d).sqrt()).collect();
    // Cannot fail: the entries are finite. An empty spectrum would show as a missing score.
    match eigenvalues(&mut squares, &mut off) {
        Some(()) => singular_from_eigenvalues(squares, long),
        None => Vec::new(),
    }
}

/// Baselines by shape, for one seed.
pub(crate) struct Baselines {
    seed: u64,
    directory: Option<PathBuf>,
    by_shape: BTreeMap<(usize, usize), Baseline>,
}

impl Baselines {
    /// None yet. `directory` is where they are kept between runs.
    pub(crate) fn new(seed: u64, directory: Option<&Path>) -> Self {
        Self { seed, directory: directory.map(Path::to_owned), by_shape: BTreeMap::new() }
    }

    /// The baseline of `rows x cols` matrices, drawn or read now if need be.
    pub(crate) fn of_shape(&mut self, rows: usize, cols: usize) -> &Baseline {
        let (long, short) = (rows.max(cols), rows.min(cols));
        let (seed, directory) = (self.seed, self.directory.as_deref());
        self.by_shape.entry((long, short)).or_insert_with(|| kept_or_drawn(long, short, seed, directory))
    }
}

/// Reads the baseline from `directory`, or draws it and leaves it there. A cache that cannot be read, is damaged or
/// cannot be written costs time, never the scan.
fn kept_or_drawn(long: usize, short: usize, seed: u64, directory: Option<&Path>) -> Baseline {
    let Some(directory) = directory else { return Baseline::draw(long, short, seed) };
    let name = format!("null-v{VERSION}-{long}x{short}-seed{seed}-draws{}.json", draws(short));
    let path = directory.join(name);
    let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Baseline>(&bytes).ok());
    if let Some(baseline) = kept.filter(|b| b.fits(long, short, seed)) {
        return baseline;
    }
    let baseline = Baseline::draw(long, short, seed);
    let _ = keep(&baseline, directory, &path);
    baseline
}

fn keep(baseline: &Baseline, directory: &Path, path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&serde_json::to_vec(baseline)?)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::METRICS;

    fn null_of(id: &str, rows: usize, cols: usize) -> Null {
        let metric = METRICS.iter().find(|m| m.info.id == id).unwrap();
        Baselines::new(0, None).of_shape(rows, cols).null(metric, &Options::default()).unwrap()
    }

    /// `metrics.md` 2.4 (numpy, one Gaussian draw of sd .02 each): sigma_1 / .02, stable rank, effective rank / r,
    /// participation ratio / r, Hill, each within four standard deviations of one draw or the digits printed.
    #[test]
    fn baselines_agree_with_drawn_matrices() {
        let table = [
            (576, 576, [0.951 / 0.02, 147.0, 0.805 * 576.0, 0.5 * 576.0, 2.12]),
            (192, 576, [0.758 / 0.02, 77.0, 0.953 * 192.0, 0.747 * 192.0, 3.11]),
            (1536, 576, [1.253 / 0.02, 225.0, 0.947 * 576.0, 0.727 * 576.0, 3.02]),
        ];
        let ids = ["spectral-norm", "stable-rank", "effective-rank", "participation-ratio", "pl-alpha-hill"];
        for (rows, cols, expected) in table {
            for (id, expected) in ids.iter().zip(expected) {
                let Null { mean, sd } = null_of(id, rows, cols);
                let digits = 0.002 * expected;
                assert!((mean - expected).abs() < 4.0 * sd + digits, "{id} {rows}x{cols}: {mean} +- {sd}, {expected}");
                assert!(sd < 0.06 * mean, "{id} {rows}x{cols}: {sd} of {mean}");
            }
        }
    }

    #[test]
    fn energy_is_that_of_unit_variance() {
        for (rows, cols) in [(1, 1), (1, 40), (64, 64), (300, 64)] {
            let mut baselines = Baselines::new(7, None);
            let baseline = baselines.of_shape(rows, cols).clone();
            let energy: f64 = baseline.draws.iter().flatten().map(|s| s * s).sum::<f64>() / baseline.draws.len() as f64;
            let numel = (rows * cols) as f64;
            // A chi-squared mean of 16 draws with `numel` degrees each.
            assert!((energy - numel).abs() < 4.0 * (2.0 * numel / 16.0).sqrt(), "{rows}x{cols}: {energy}");
            assert_eq!(&baseline, baselines.of_shape(cols, rows), "transposed shapes share");
        }
    }

    /// `E tr(W^T W) = m n` and `E tr((W^T W)^2) = m n (m + n + 1)` for standard normal entries.
    #[test]
    fn moments_of_small_draws_are_those_of_wishart_matrices() {
        for (long, short) in [(1, 1), (3, 2), (4, 4), (9, 3)] {
            let mut rng = ChaCha12Rng::seed_from_u64(5);
            let (mut first, mut second) = (0.0, 0.0);
            let count = 20_000;
            for _ in 0..count {
                let values = random_singular_values(long, short, &mut rng);
                first += values.iter().map(|s| s.powi(2)).sum::<f64>() / f64::from(count);
                second += values.iter().map(|s| s.powi(4)).sum::<f64>() / f64::from(count);
            }
            let numel = (long * short) as f64;
            assert!((first / numel - 1.0).abs() < 0.04, "{long}x{short}: {first}");
            let expected = numel * (long + short + 1) as f64;
            assert!((second / expected - 1.0).abs() < 0.08, "{long}x{short}: {second} {expected}");
        }
    }

    #[test]
    fn baselines_are_kept_and_damage_is_drawn_anew() {
        let directory = tempfile::tempdir().unwrap();
        let fresh = Baselines::new(3, Some(directory.path())).of_shape(20, 50).clone();
        let path = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        // A file that fits is believed: this is how one sees that it is read at all.
        let mut forged = fresh.clone();
        forged.draws[0][0] += 1.0;
        fs::write(&path, serde_json::to_vec(&forged).unwrap()).unwrap();
        assert_eq!(Baselines::new(3, Some(directory.path())).of_shape(20, 50), &forged);
        for damage in [&b"{"[..], b"", b"\xff\xfe", br#"{"version":1,"seed":3,"long":50,"short":20,"draws":[[1.0]]}"#] {
            fs::write(&path, damage).unwrap();
            assert_eq!(Baselines::new(3, Some(directory.path())).of_shape(50, 20), &fresh);
        }
        let other_seed = Baselines::new(4, None).of_shape(20, 50).clone();
        fs::write(&path, serde_json::to_vec(&other_seed).unwrap()).unwrap();
        assert_eq!(Baselines::new(3, Some(directory.path())).of_shape(50, 20), &fresh, "a file under a wrong name");
        assert_eq!(Baselines::new(3, None).of_shape(20, 50), &fresh, "the same seed gives the same bits");
        assert_ne!(Baselines::new(4, None).of_shape(20, 50), &fresh);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }
}
