//! Budgets as people write them.

use tomo_plan::{Ask, Limit};

#[test]
fn budgets_are_read() {
    for (text, limit) in [
        ("4.5bpw", Limit::BitsPerWeight(4.5)),
        ("84MB", Limit::Bytes(84_000_000)),
        ("80MiB", Limit::Bytes(80 << 20)),
        ("84 MB", Limit::Bytes(84_000_000)),
        ("30%", Limit::Share(0.3)),
        ("like:Q4_K_M", Limit::Like("q4_k_m".to_owned())),
        ("rank:16", Limit::Rank(16)),
        ("top:25%", Limit::TopOfColumn(0.25)),
        ("parameters:2M", Limit::Parameters(2_000_000)),
    ] {
        let ask: Ask = text.parse().unwrap();
        assert_eq!(ask.limit, limit, "{text}");
        assert_eq!(ask.to_string(), text);
    }
    assert_eq!(Ask::target("4.5").unwrap().limit, Limit::BitsPerWeight(4.5));
    assert_eq!(Ask::ratio("0.3").unwrap().limit, Limit::Share(0.3));
    assert_eq!(Ask::parameters("1.5b").unwrap().limit, Limit::Parameters(1_500_000_000));
    assert_eq!(Ask::parameters("500k").unwrap().limit, Limit::Parameters(500_000));
    assert_eq!(Ask::size("1048576").unwrap().limit, Limit::Bytes(1 << 20));
}

#[test]
fn what_is_no_budget_is_refused_with_what_would_be() {
    for text in [
        "", "4.5", "-4bpw", "nanbpw", "infbpw", "0bpw", "130%", "0%", "like:", "rank:0", "rank:x", "top:0%", "MB",
        "0MB", "many:2",
    ] {
        let error = text.parse::<Ask>().unwrap_err().to_string();
        assert!(error.contains("expected: ") && error.contains("found: "), "{text}: {error}");
    }
    assert!(Ask::parameters("2X").is_err() && Ask::parameters("-2M").is_err() && Ask::parameters("0").is_err());
    assert!(Ask::ratio("1.5").is_err() && Ask::ratio("NaN").is_err());
}
