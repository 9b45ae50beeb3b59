//! Statistics against numpy and scipy (`tests/reference/stats.json`, which names script and versions).

use serde_json::Value;
use tomo_map::stats::{Shape, ShapeTest, cliffs_delta, line, median, ranks, robust_z, split, z_scores};

fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/stats.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[track_caller]
fn close(got: f64, want: f64) {
    let off = (got - want).abs();
    // Written so that a NaN fails.
    assert!(off <= 1e-12 * want.abs().max(1e-300) || off <= 1e-12, "got {got}, want {want}");
}

#[track_caller]
fn all_close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).for_each(|(g, w)| close(*g, *w));
}

#[test]
fn profiles_agree_with_scipy() {
    let reference = reference();
    for profile in reference["profiles"].as_array().unwrap() {
        let values = floats(&profile["values"]);
        let positions: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
        all_close(&ranks(&values), &floats(&profile["ranks"]));
        close(median(&values).unwrap() / 1e-9, profile["median"].as_f64().unwrap() / 1e-9);
        all_close(&z_scores(&values).unwrap(), &floats(&profile["z"]));
        all_close(&robust_z(&values).unwrap(), &floats(&profile["robust_z"]));
        let (got, want) = (split(&values).unwrap(), &profile["split"]);
        assert_eq!(got.first as u64, want["first"].as_u64().unwrap(), "{}", profile["name"]);
        close(got.before / 1e-9, want["before"].as_f64().unwrap() / 1e-9);
        close(got.after / 1e-9, want["after"].as_f64().unwrap() / 1e-9);
        close(got.explained, want["r2"].as_f64().unwrap());
        let (got, want) = (line(&positions, &values).unwrap(), &profile["line"]);
        close(got.start / 1e-6, want["start"].as_f64().unwrap() / 1e-6);
        close(got.end / 1e-6, want["end"].as_f64().unwrap() / 1e-6);
        close(got.explained, want["r2"].as_f64().unwrap());
    }
}

/// Two Monte-Carlo estimates of one p-value, 1 999 and 20 000 orders: four standard errors apart at most.
#[test]
fn permutation_p_values_agree_with_scipy() {
    let reference = reference();
    for profile in reference["profiles"].as_array().unwrap() {
        let points: Vec<(u32, f64)> = (0..).zip(floats(&profile["values"])).collect();
        let test = ShapeTest::fit(&points, 7, 1).unwrap();
        let want = match test.shape {
            Shape::Step(_) => &profile["split"]["p"],
            Shape::Drift(_) => &profile["line"]["p"],
        };
        let want = want.as_f64().unwrap();
        let error = (want * (1.0 - want) * (1.0 / 1999.0 + 1.0 / 20000.0)).sqrt();
        assert!(
            (test.evidence.p - want).abs() <= 4.0 * error + 1e-3,
            "{}: {} {want}",
            profile["name"],
            test.evidence.p
        );
        close(test.evidence.p_corrected, (test.evidence.p * 14.0).min(1.0));
    }
}

#[test]
fn effect_sizes_agree_with_scipy() {
    for pair in reference()["pairs"].as_array().unwrap() {
        close(cliffs_delta(&floats(&pair["a"]), &floats(&pair["b"])).unwrap(), pair["delta"].as_f64().unwrap());
    }
    assert_eq!(cliffs_delta(&[1.0, 2.0], &[]), None);
    assert_eq!(cliffs_delta(&[1.0, 2.0], &[1.0, 2.0]), Some(0.0));
}

fn points(values: impl IntoIterator<Item = f64>) -> Vec<(u32, f64)> {
    (0..).zip(values).collect()
}

#[test]
fn a_step_is_a_step_a_line_a_line_and_noise_nothing() {
    let wobble = |i: usize| ((i * 7919) % 13) as f64 / 100.0;
    let step = ShapeTest::fit(&points((0..28).map(|i| f64::from(u8::from(i >= 17)) + wobble(i))), 7, 0).unwrap();
    assert!(step.passes() && matches!(step.shape, Shape::Step(s) if s.first == 17), "{step:?}");
    let drift = ShapeTest::fit(&points((0..28).map(|i| i as f64 / 10.0 + wobble(i))), 7, 0).unwrap();
    assert!(drift.passes() && matches!(drift.shape, Shape::Drift(_)), "{drift:?}");
    let noise = ShapeTest::fit(&points((0..28).map(wobble)), 7, 0).unwrap();
    assert!(!noise.passes(), "{noise:?}");
    // One odd layer at the end is no step: any order with it at either end does as well.
    let outlier = ShapeTest::fit(&points((0..28).map(|i| if i == 27 { 9.0 } else { wobble(i) })), 7, 0).unwrap();
    assert!(!outlier.passes(), "{outlier:?}");
}

#[test]
fn too_little_says_nothing() {
    assert_eq!(ShapeTest::fit(&points([1.0; 30]), 7, 0), None);
    assert_eq!(ShapeTest::fit(&points((0..7).map(f64::from)), 7, 0), None);
    assert_eq!(ShapeTest::fit(&[], 7, 0), None);
    assert_eq!(split(&[1.0, 2.0, 3.0]), None);
    assert_eq!(line(&[0.0], &[1.0]), None);
    assert_eq!((median(&[]), z_scores(&[]), robust_z(&[2.0, 2.0])), (None, None, None));
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let profile = points((0..30).map(|i| (f64::from(i) * 1.7).sin()));
    let fit = |seed| ShapeTest::fit(&profile, 7, seed).unwrap();
    assert_eq!(fit(5), fit(5));
    assert_ne!(fit(5).evidence.p, fit(6).evidence.p);
}

#[test]
fn the_largest_and_smallest_numbers_do_no_harm() {
    let huge: Vec<f64> = (0..20).map(|i| if i < 12 { f64::MAX } else { -f64::MAX }).collect();
    let found = split(&huge).unwrap();
    assert_eq!((found.first, found.before, found.after), (12, f64::MAX, -f64::MAX));
    close(found.explained, 1.0);
    assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    assert_eq!(median(&[5e-324, 5e-324]), Some(5e-324));
    for values in [huge, (0..20).map(|i| f64::from(i % 3) * 5e-324).collect()] {
        let all = [z_scores(&values).unwrap(), robust_z(&values).unwrap(), ranks(&values)].concat();
        assert!(all.iter().all(|v| v.is_finite()), "{all:?}");
        assert!(ShapeTest::fit(&points(values), 1, 0).is_some());
    }
}

/// With more than half of the values equal the median deviation is 0; the mean deviation finds the odd one.
#[test]
fn robust_z_copes_with_ties() {
    let z = robust_z(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0]).unwrap();
    // Mean absolute deviation 1, times 1.2533.
    close(z[7], 8.0 / 1.253_314_137_315_500_3);
    close(z[0], 0.0);
}
