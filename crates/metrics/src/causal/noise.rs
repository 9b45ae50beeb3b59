//! The slope of a divergence against the square of the noise that causes it.

/// Weight of each size of noise in the slope: `t^2 / sum t^4` over all sizes and `draws` draws of each, so that the slope of the
/// line through the origin is `sum weight * KL`.
pub(crate) fn weights(levels: &[f64], draws: usize) -> Vec<f64> {
    let fourth: f64 = levels.iter().map(|t| t.powi(4)).sum::<f64>() * draws as f64;
    levels.iter().flat_map(|t| std::iter::repeat_n(t * t / fourth, draws)).collect()
}

/// A line through the origin: KL = alpha t^2.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NoiseFit {
    /// The slope, in nats per token.
    pub alpha: f64,
    /// Share of the variance of the sizes' mean KL around their own mean that the line explains; `None` of a single size, or where
    /// they do not differ. Below 0 where a constant would fit better.
    pub r2: Option<f64>,
}

impl NoiseFit {
    /// Fits KL, by size and then by draw, `draws` of each size.
    pub fn new(levels: &[f64], draws: usize, kl: &[f64]) -> Self {
        let alpha: f64 = weights(levels, draws).iter().zip(kl).map(|(w, kl)| w * kl).sum();
        let means: Vec<f64> =
            kl.chunks_exact(draws.max(1)).map(|of_level| of_level.iter().sum::<f64>() / draws as f64).collect();
        let centre = means.iter().sum::<f64>() / means.len().max(1) as f64;
        let around: f64 = means.iter().map(|kl| (kl - centre).powi(2)).sum();
        let left: f64 = means.iter().zip(levels).map(|(kl, t)| (kl - alpha * t * t).powi(2)).sum();
        Self { alpha, r2: (around > 0.0 && levels.len() > 1).then(|| 1.0 - left / around) }
    }

    /// Why the slope is to be read with care, if it is.
    pub(crate) fn caveat(&self) -> Option<String> {
        let r2 = self.r2.filter(|r2| *r2 < LINEAR)?;
        Some(format!(
            "the divergence does not grow with the square of the noise here (R2 {})",
            tomo_map::significant(r2, 2)
        ))
    }
}

/// R2 below which the divergence is not said to grow with the square: exponents below 1.5 and above 3.0 have less (at the default sizes).
const LINEAR: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [f64; 4] = [0.05, 0.1, 0.15, 0.2];

    fn of_power(power: f64) -> NoiseFit {
        let kl: Vec<f64> = LEVELS.iter().flat_map(|t| [3.0 * t.powf(power); 2]).collect();
        NoiseFit::new(&LEVELS, 2, &kl)
    }

    #[test]
    fn squares_are_fitted_exactly() {
        let fit = of_power(2.0);
        assert!((fit.alpha - 3.0).abs() < 1e-12 && fit.r2.is_some_and(|r2| (r2 - 1.0).abs() < 1e-12), "{fit:?}");
        assert!(fit.caveat().is_none());
    }

    /// By hand, t^1.5 at four sizes: alpha = sum t^3.5 / sum t^4, R2 = 1 - sum (t^1.5 - alpha t^2)^2 / sum (t^1.5 - mean)^2.
    #[test]
    fn other_powers_are_found_out() {
        let fit = of_power(1.5);
        // 0.005229 / 0.0022125 = 2.3633; residuals .00527, .00799, .00492, -.00509 of a spread .003432: 1 - .000142 / .003432.
        assert!((fit.alpha - 3.0 * 2.3633).abs() < 1e-3, "{fit:?}");
        assert!((fit.r2.unwrap() - 0.9587).abs() < 5e-4, "{fit:?}");
        assert!(of_power(1.0).caveat().is_some_and(|c| c.contains("R2")), "{:?}", of_power(1.0));
        assert!(of_power(3.5).caveat().is_some(), "{:?}", of_power(3.5));
    }

    #[test]
    fn what_does_not_differ_has_no_r2() {
        assert_eq!(NoiseFit::new(&[0.1], 2, &[0.5, 0.7]).r2, None);
        assert_eq!(NoiseFit::new(&LEVELS, 1, &[0.0; 4]), NoiseFit { alpha: 0.0, r2: None });
    }
}
