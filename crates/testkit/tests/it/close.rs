use tomo_testkit::Within::{Absolute, Relative, RelativeNorm};
use tomo_testkit::{Within, assert_close, compare};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[test]
fn close_numbers_pass() {
    // The gaps are exact in binary: 2^-10 against a limit of 2^-10.
    assert_close(1.0 + 1.0 / 1024.0, 1.0, Absolute(1.0 / 1024.0));
    assert_close(1.0 + 1.0 / 1024.0, 1.0, Relative(1.0 / 1024.0));
    assert_close([0.0f32, -8.0, 8.0], vec![0.0, -8.0, 8.5], Relative(1.0 / 16.0));
    assert_close([3.0, 4.0], [3.0, 5.0], RelativeNorm(0.2));
    assert_close(0.0, 0.0, Relative(0.0));
    assert_close(0.0, -0.0, Absolute(0.0));
}

#[test]
fn far_numbers_fail() {
    let cases: [(f64, f64, Within); 5] = [
        (1.0 + 1.0 / 512.0, 1.0, Absolute(1.0 / 1024.0)),
        (1.0 + 1.0 / 512.0, 1.0, Relative(1.0 / 1024.0)),
        (1e-300, 0.0, Relative(0.5)),
        (1.0, 2.0, RelativeNorm(0.49)),
        (-1.0, 1.0, Relative(1.0)),
    ];
    for (got, expected, within) in cases {
        assert!(compare(got, expected, within).is_err(), "{got} {expected} {within:?}");
    }
}

#[test]
fn nan_and_infinity_fail_on_either_side_under_every_rule() {
    for within in
        [Absolute(1e300), Relative(1e300), RelativeNorm(1e300), Absolute(INF), Relative(INF), RelativeNorm(INF)]
    {
        for (got, expected) in [(NAN, 1.0), (1.0, NAN), (NAN, NAN), (INF, 1.0), (1.0, INF), (INF, INF), (-INF, INF)] {
            assert!(compare([0.5, got], [0.5, expected], within).is_err(), "{got} {expected} {within:?}");
            assert!(compare(got as f32, expected as f32, within).is_err(), "{got} {expected} {within:?}");
        }
    }
}

#[test]
fn a_tolerance_of_nan_fails() {
    for within in [Absolute(NAN), Relative(NAN), RelativeNorm(NAN)] {
        assert!(compare(1.0, 1.5, within).is_err(), "{within:?}");
    }
}

#[test]
fn lengths_must_agree_and_nothing_is_not_enough() {
    assert_eq!(compare([1.0, 2.0], [1.0], Absolute(9.0)).unwrap_err().to_string(), "2 numbers, expected 1");
    let none: [f64; 0] = [];
    assert!(compare(none, none, Absolute(9.0)).is_err());
}

#[test]
fn the_message_names_the_first_and_the_worst() {
    let message = compare([1.0, 2.5, 3.0, 9.0], [1.0, 2.0, 3.0, 4.0], Absolute(0.25)).unwrap_err().to_string();
    assert_eq!(
        message,
        "2 of 4 numbers are not within Absolute(0.25)\n  \
         first [1]: got 2.5e0, expected 2e0, off by 5e-1\n  \
         worst [3]: got 9e0, expected 4e0, off by 5e0"
    );
    let message = compare([1.0, NAN, 100.0], [1.0, 2.0, 3.0], Relative(0.1)).unwrap_err().to_string();
    assert!(message.contains("worst [1]: got NaN, expected 2e0"), "{message}");
    let message = compare([1.0, 2.5, 9.0], [1.0, 2.0, 4.0], RelativeNorm(0.1)).unwrap_err().to_string();
    assert!(message.contains("first [1]: got 2.5e0") && message.contains("worst [2]: got 9e0"), "{message}");
}

#[test]
#[should_panic(expected = "1 of 1 numbers are not within")]
fn the_assertion_panics() {
    assert_close(1.0, 2.0, Absolute(0.5));
}
