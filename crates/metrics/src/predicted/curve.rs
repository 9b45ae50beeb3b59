//! A smooth curve along depth through noisy points that also scatter around it.

/// Highest degree of the curve.
const DEGREE: usize = 2;
/// The least spread around the curve that is taken for possible, as a standard deviation: no curve is exact, and with this
/// enough draws always win over it.
const LEAST_SPREAD: f64 = 0.03;
/// Spreads that are tried: up to a factor of e.
const SPREADS: usize = 60;

/// A point: where it is (0 to 1 along depth), its value, the variance of its noise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) depth: f64,
    pub(super) value: f64,
    pub(super) noise: f64,
}

/// The curve, and what it takes to say how each point moved it.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Standard deviation of the points around the curve beyond their noise.
    pub(super) spread: f64,
    /// The curve at each point.
    pub(super) fitted: Vec<f64>,
    /// `[points][terms]`.
    basis: Vec<[f64; DEGREE + 1]>,
    /// `[terms][points]`: coefficients from values.
    weights: Vec<Vec<f64>>,
}

impl Curve {
    /// The curve with the likeliest spread (restricted maximum likelihood); `None` of no points.
    pub(super) fn fit(points: &[Point]) -> Option<Self> {
        if points.is_empty() {
            return None;
        }
        let basis = basis(points);
        let step = (1.0 / LEAST_SPREAD).ln() / (SPREADS - 1) as f64;
        let spreads = (0..SPREADS).map(|at| LEAST_SPREAD * (step * at as f64).exp());
        let fits = spreads.filter_map(|spread| Self::with_spread(points, &basis, spread));
        // The first of equally likely ones.
        let best = fits.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, curve)| curve)
    }

    /// The restricted log likelihood of a spread, and its curve.
    fn with_spread(points: &[Point], basis: &[[f64; DEGREE + 1]], spread: f64) -> Option<(f64, Self)> {
        let trust: Vec<f64> = points.iter().map(|p| 1.0 / (p.noise + spread * spread)).collect();
        let mut normal = [[0.0; DEGREE + 1]; DEGREE + 1];
        for (row, trust) in basis.iter().zip(&trust) {
            for (i, a) in row.iter().enumerate() {
                for (j, b) in row.iter().enumerate() {
                    normal[i][j] += trust * a * b;
                }
            }
        }
        let used: Vec<usize> = (0..=DEGREE).filter(|term| basis.iter().any(|row| row[*term] != 0.0)).collect();
        let (inverse, log_determinant) = inverse(&normal, &used)?;
        let weights: Vec<Vec<f64>> = inverse
            .iter()
            .map(|row| {
                let at = |(b, trust): (&[f64; DEGREE + 1], &f64)| trust * dot(row, b);
                basis.iter().zip(&trust).map(at).collect()
            })
            .collect();
        let values: Vec<f64> = points.iter().map(|p| p.value).collect();
        let mut curve = Self { spread, fitted: Vec::new(), basis: basis.to_vec(), weights };
        curve.fitted = curve.smooth(&values);
        let misfit: f64 =
            points.iter().zip(&curve.fitted).zip(&trust).map(|((p, fit), trust)| trust * (p.value - fit).powi(2)).sum();
        let likelihood = 0.5 * (trust.iter().map(|t| t.ln()).sum::<f64>() - log_determinant - misfit);
        likelihood.is_finite().then_some((likelihood, curve))
    }

    /// The curve that other values at the same points would give, with the same weights.
    pub(super) fn smooth(&self, values: &[f64]) -> Vec<f64> {
        let terms: Vec<f64> = self.weights.iter().map(|row| row.iter().zip(values).map(|(w, v)| w * v).sum()).collect();
        self.basis.iter().map(|row| row.iter().zip(&terms).map(|(b, term)| b * term).sum()).collect()
    }
}

/// Legendre polynomials of depth; of a degree that the number of different depths does not support, zero.
fn basis(points: &[Point]) -> Vec<[f64; DEGREE + 1]> {
    let mut depths: Vec<f64> = points.iter().map(|p| p.depth).collect();
    depths.sort_by(f64::total_cmp);
    depths.dedup();
    let row = |p: &Point| {
        let x = 2.0 * p.depth - 1.0;
        let all = [1.0, x, 0.5 * (3.0 * x * x - 1.0)];
        std::array::from_fn(|term| if term < depths.len() { all[term] } else { 0.0 })
    };
    points.iter().map(row).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Inverse of a symmetric positive matrix on the terms in use (zero elsewhere), and the logarithm of its determinant, by
/// Gauss-Jordan without exchanges. `None` where it is singular.
fn inverse(matrix: &[[f64; DEGREE + 1]; DEGREE + 1], used: &[usize]) -> Option<(Vec<[f64; DEGREE + 1]>, f64)> {
    let mut left = *matrix;
    let mut right = vec![[0.0; DEGREE + 1]; DEGREE + 1];
    used.iter().for_each(|term| right[*term][*term] = 1.0);
    let mut log_determinant = 0.0;
    for &pivot in used {
        let size = left[pivot][pivot];
        if size <= 1e-12 * matrix[pivot][pivot] || !size.is_finite() {
            return None;
        }
        log_determinant += size.ln();
        left[pivot].iter_mut().chain(&mut right[pivot]).for_each(|x| *x /= size);
        let (pivot_left, pivot_right) = (left[pivot], right[pivot]);
        for &row in used.iter().filter(|row| **row != pivot) {
            let factor = left[row][pivot];
            left[row].iter_mut().zip(&pivot_left).for_each(|(x, p)| *x -= factor * p);
            right[row].iter_mut().zip(&pivot_right).for_each(|(x, p)| *x -= factor * p);
        }
    }
    Some((right, log_determinant))
}
