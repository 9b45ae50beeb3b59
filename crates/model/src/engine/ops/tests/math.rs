use super::plain;
use crate::engine::ops::math::{exp, exp_f64, largest, normal_cdf, tanh};

/// How many f32 lie between, for normal results.
fn ulps(found: f32, expected: f64) -> f64 {
    let near = expected.abs().max(f64::from(f32::MIN_POSITIVE)) as f32;
    (f64::from(found) - expected).abs() / f64::from(near.next_up() - near)
}

/// Every so-many-th f32 of a range of one sign.
fn every(step: usize, from: f32, to: f32) -> impl Iterator<Item = f32> {
    let sign = from.to_bits() & 0x8000_0000;
    let (from, to) = (from.to_bits() & !sign, to.to_bits() & !sign);
    (from.min(to)..=from.max(to)).step_by(step).map(move |bits| f32::from_bits(bits | sign))
}

/// Largest error of `f`; infinity if any is NaN.
fn worst(xs: impl Iterator<Item = f32>, f: impl Fn(f32) -> f32, expected: impl Fn(f64) -> f64) -> f64 {
    xs.map(|x| ulps(f(x), expected(f64::from(x)))).fold(0.0, |worst, e| {
        if e <= worst {
            worst
        } else if e.is_nan() {
            f64::INFINITY
        } else {
            e
        }
    })
}

#[test]
fn the_exponential_is_good_to_an_ulp_down_to_denormal_numbers() {
    assert!(worst(every(997, -0.0, -104.0), exp, f64::exp) < 1.0);
    assert!(worst(every(997, 0.0, 88.7), exp, f64::exp) < 1.0);
}

#[test]
fn the_exponential_at_its_ends() {
    assert_eq!([exp(0.0), exp(-0.0), exp(f32::NEG_INFINITY), exp(-200.0), exp(-1e30)], [1.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!([exp(89.0), exp(1e30), exp(f32::INFINITY)], [f32::INFINITY; 3]);
    assert!(exp(f32::NAN).is_nan() && exp(-f32::NAN).is_nan());
}

#[test]
fn the_exponential_in_f64_is_good_to_twelve_digits_and_exact_at_zero() {
    for at in 0..2_000_000 {
        let x = (f64::from(at) - 1e6) * 7.07e-4;
        let (found, expected) = (exp_f64(x), x.exp());
        assert!((found / expected - 1.0).abs() < 4e-13, "{x}: {found} instead of {expected}");
    }
    assert_eq!([exp_f64(0.0), exp_f64(-0.0)], [1.0, 1.0]);
    assert_eq!([exp_f64(709.1), exp_f64(f64::INFINITY)], [f64::INFINITY; 2]);
    assert!([-708.1, -1e300, f64::NEG_INFINITY].iter().all(|x| (0.0..1e-300).contains(&exp_f64(*x))));
    assert!(exp_f64(f64::NAN).is_nan());
}

#[test]
fn the_hyperbolic_tangent_is_good_to_two_ulps() {
    for (from, to) in [(1e-30, 20.0), (-1e-30, -20.0)] {
        assert!(worst(every(997, from, to), tanh, f64::tanh) < 2.0);
    }
    assert_eq!([tanh(0.0), tanh(f32::INFINITY), tanh(f32::NEG_INFINITY), tanh(-1e30)], [0.0, 1.0, -1.0, -1.0]);
    assert!(tanh(f32::NAN).is_nan());
}

#[test]
fn the_normal_distribution_is_good_to_a_few_ulps() {
    let error = |from, to| worst(every(1999, from, to), normal_cdf, plain::normal_cdf);
    let errors = [error(1e-20, 30.0), error(-1e-20, -3.0), error(-3.0, -12.9)];
    assert!(errors.iter().zip([5.0, 12.0, 80.0]).all(|(error, limit)| *error < limit), "{errors:?}");
    assert_eq!([normal_cdf(f32::INFINITY), normal_cdf(f32::NEG_INFINITY)], [1.0, 0.0]);
    assert!(normal_cdf(f32::NAN).is_nan());
}

#[test]
fn the_largest_of_any_number_of_values() {
    let values: Vec<f32> = (0..100).map(|at| ((at * 37) % 100) as f32 - 200.0).collect();
    for count in 1..values.len() {
        let expected = values[..count].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(largest(&values[..count]), expected);
    }
    assert_eq!([largest(&[]), largest(&[f32::NAN, -3.0])], [f32::NEG_INFINITY, -3.0]);
}
