//! The exponent against the weightwatcher package's own (`tools/reference/spectral_power_law.py` says how it was made).

use serde_json::Value;
use tomo_metrics::Facts;

use crate::support::{assert_close, metric, score_of};

#[test]
fn alpha_is_that_of_the_weightwatcher_package() {
    let page: Value = serde_json::from_str(include_str!("../reference/power_law.json")).unwrap();
    let cases = page["cases"].as_array().unwrap();
    assert!(cases.len() >= 9);
    for case in cases {
        let sigma: Vec<f64> = case["singular_values"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let size = |key: &str| usize::try_from(case[key].as_u64().unwrap()).unwrap();
        let facts = Facts::from_spectrum(size("rows"), size("cols"), sigma);
        let score = score_of(metric("pl-alpha"), &facts);
        let actual = score.value().unwrap_or_else(|| panic!("{}: {:?}", case["name"], score.reason()));
        assert_close(actual, case["alpha"].as_f64().unwrap(), 1e-9);
    }
}
