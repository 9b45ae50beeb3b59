//! Intervals from leaving out one sequence at a time.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Where the upper end of a 95 % interval lies.
const UPPER: f64 = 0.975;

/// 95 % interval of a positive score whose values with one sequence left out are `left_out`: the jackknife's standard error
/// of the logarithm, times the quantile of Student's t. `None` of fewer than two, or where one of them is not positive.
pub(crate) fn interval(value: f64, left_out: &[f64]) -> Option<(f64, f64)> {
    let count = left_out.len() as f64;
    let is_positive = |v: &f64| *v > 0.0 && v.is_finite();
    if left_out.len() < 2 || !is_positive(&value) || !left_out.iter().all(is_positive) {
        return None;
    }
    let logs: Vec<f64> = left_out.iter().map(|v| v.ln()).collect();
    let mean = logs.iter().sum::<f64>() / count;
    let squares: f64 = logs.iter().map(|l| (l - mean) * (l - mean)).sum();
    let error = (squares * (count - 1.0) / count).sqrt();
    let reach = StudentsT::new(0.0, 1.0, count - 1.0).ok()?.inverse_cdf(UPPER) * error;
    Some((value * (-reach).exp(), value * reach.exp()))
}
