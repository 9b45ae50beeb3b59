use statrs::distribution::{Binomial, DiscreteCDF};

/// Two-sided p-value of the sign test (Dixon & Mood 1946): how often as lopsided a split as `higher` to `lower` comes out
/// when either is as likely as the other. Ties are left out by whoever counts. 1 where there is nothing to count.
pub fn sign_test(higher: usize, lower: usize) -> f64 {
    let (fewer, count) = (higher.min(lower) as u64, (higher + lower) as u64);
    match Binomial::new(0.5, count) {
        Ok(fair) if count > 0 => (2.0 * fair.cdf(fewer)).min(1.0),
        _ => 1.0,
    }
}

/// 95 % interval of `second - first` from the interval of each, as if the two were independent (Newcombe 1998; Zou &
/// Donner 2008). Where they go together, as two models on one text do, it is wider than need be.
///
/// Takes (value, (low, high)) twice.
pub fn interval_of_difference(first: (f64, (f64, f64)), second: (f64, (f64, f64))) -> (f64, f64) {
    let ((a, (a_low, a_high)), (b, (b_low, b_high))) = (first, second);
    let difference = b - a;
    (difference - (b - b_low).hypot(a_high - a), difference + (b_high - b).hypot(a - a_low))
}
