//! Numbers for readers.

use proptest::prelude::*;
use tomo_map::{significant, significant_apart};

#[test]
fn numbers_are_rounded_to_significant_digits() {
    for (value, digits, want) in [
        (0.0, 3, "0"),
        (-0.0, 3, "0"),
        (0.14, 3, "0.140"),
        (0.000_123_456, 3, "0.000123"),
        (0.000_099_96, 3, "0.000100"),
        (0.000_012_3, 3, "1.23e-5"),
        (9.996, 3, "10.0"),
        (99.96, 3, "100"),
        (1234.5, 3, "1234"),
        (1235.5, 3, "1236"),
        (-2.5, 1, "-2"),
        (999_999.4, 3, "1.00e6"),
        (123_456.0, 3, "123456"),
        (1_234_567.0, 3, "1.23e6"),
        (5e-324, 3, "4.94e-324"),
        (f64::MAX, 2, "1.8e308"),
    ] {
        assert_eq!(significant(value, digits), want, "{value}");
    }
    assert_eq!(significant_apart(&[0.123_41, 0.123_42], 3), ["0.12341", "0.12342"]);
    assert_eq!(significant_apart(&[0.5, 0.5], 3), ["0.500", "0.500"]);
}

proptest! {
    #[test]
    fn what_is_printed_is_within_half_a_unit_of_the_last_digit(value in prop::num::f64::NORMAL, digits in 1..10usize) {
        let text = significant(value, digits);
        let read: f64 = text.parse().unwrap();
        prop_assert!((read - value).abs() <= 0.500_001 * 10f64.powi(1 - digits as i32) * value.abs(), "{value} {text}");
        prop_assert!(read != 0.0);
        let reached = text.trim_start_matches('-').split('e').next().unwrap().replace('.', "");
        prop_assert!(reached.trim_start_matches('0').len() >= digits, "{text}");
    }

    #[test]
    fn different_numbers_look_different(a in prop::num::f64::NORMAL, b in prop::num::f64::NORMAL) {
        for b in [b, a * (1.0 + 1e-13), a] {
            let texts = significant_apart(&[a, b], 3);
            prop_assert_eq!(texts[0] == texts[1], a == b);
        }
    }
}
