//! The effective rank of random matrices, for comparison.

/// Steps of the sum that stands for the integral.
const STEPS: u32 = 4000;

/// Effective rank, exp of the entropy of the singular values over their sum (Roy & Vetterli 2007), of a `rows x cols` matrix
/// of independent entries, over `min(rows, cols)`, in the limit of large matrices of this aspect. 1 for a vector.
///
/// Singular values then follow Marchenko & Pastur: with beta the aspect, eigenvalues x lie between (1 - sqrt beta)² and
/// (1 + sqrt beta)² with a density in proportion to sqrt((x - low) (high - x)) / x; x = 1 + beta + 2 sqrt beta cos t makes that
/// a smooth function of t.
pub(super) fn random_effective_rank(rows: u64, cols: u64) -> f64 {
    let (short, long) = (rows.min(cols) as f64, rows.max(cols) as f64);
    if short <= 1.0 {
        return 1.0;
    }
    let beta = short / long;
    let (mut mass, mut sum, mut entropy) = (0.0, 0.0, 0.0);
    for step in 0..STEPS {
        let t = (f64::from(step) + 0.5) / f64::from(STEPS) * std::f64::consts::PI;
        let eigenvalue = 1.0 + beta + 2.0 * beta.sqrt() * t.cos();
        if eigenvalue <= 0.0 {
            continue;
        }
        let weight = t.sin().powi(2) / eigenvalue;
        let sigma = eigenvalue.sqrt();
        mass += weight;
        sum += weight * sigma;
        entropy += weight * sigma * sigma.ln();
    }
    // With p = sigma / (r E sigma), the entropy is ln(r E sigma) - E(sigma ln sigma) / E sigma.
    sum / mass * (-entropy / sum).exp()
}

#[cfg(test)]
mod tests {
    use super::random_effective_rank;

    /// One draw each of the shapes of SmolLM2 by numpy: .805, .953, .947.
    #[test]
    fn shares_of_random_matrices_are_those_of_numpy() {
        for (rows, cols, want) in [(576, 576, 0.805), (192, 576, 0.953), (1536, 576, 0.947)] {
            let got = random_effective_rank(rows, cols);
            assert!((got - want).abs() < 0.002, "{rows} x {cols}: {got}, want {want}");
        }
        assert!((random_effective_rank(1, 64) - 1.0).abs() < 1e-12);
    }
}
