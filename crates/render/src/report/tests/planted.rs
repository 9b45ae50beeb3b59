//! What was put into a map is what the report finds.

use tomo_map::Component;

use super::check::check;
use super::samples::{dense, figure, info, wobble};

#[track_caller]
fn says(text: &str, sentence: &str) {
    assert!(text.contains(sentence), "does not say {sentence:?}:\n{text}");
}

#[test]
fn the_reference_figure_is_told_as_it_is_described() {
    let text = check(&figure());
    says(&text, "By median, `attn.v` is the highest column");
    says(&text, "`attn.v` is the highest column throughout layers 0 to 27.");
    says(&text, "`mlp.gate` is the lowest column throughout layers 0 to 16.");
    says(&text, "`attn.v` falls after layer 16: the mean is 0.156 in layers 0 to 16 and 0.145 in layers 17 to 27");
    says(&text, "`attn.o` falls after layer 16");
    says(&text, "`mlp.gate` rises after layer 16");
    says(&text, "`attn.v` lies above `mlp.gate` in 28 of 28 layers (Cliff's delta 1.00, medians 0.155 and 0.123).");
    says(&text, "No step and no steady trend passes the test in `attn.q`, `attn.k`");
    // The way down from one level to the other takes three layers; those are told, and no others.
    assert_eq!(
        text.matches(" stands out ").count(),
        text.matches("in layer 16 stands out").count() + text.matches("in layer 17 stands out").count()
    );
}

#[test]
fn one_planted_outlier_is_found_and_nothing_else() {
    let at = (21, Component::MlpDown);
    let map = dense(30, &[(info("s", "A score"), &|l, c| Some(wobble(l, c) + if (l, c) == at { 60.0 } else { 0.0 }))]);
    let text = check(&map);
    says(&text, "`mlp.down` in layer 21 stands out high: 60");
    assert_eq!(text.matches(" stands out ").count(), 1, "{text}");
}

#[test]
fn a_layer_that_differs_in_all_columns_is_found() {
    let map = dense(20, &[(info("s", "A score"), &|l, c| Some(wobble(l, c) - if l == 7 { 30.0 } else { 0.0 }))]);
    says(&check(&map), "Layer 7 stands out low: the median robust z-score of its 7 cells is -");
}

#[test]
fn a_drift_is_not_called_a_step() {
    let map = dense(24, &[(info("s", "A score"), &|l, c| Some(f64::from(l) + wobble(l, c)))]);
    let text = check(&map);
    assert_eq!(text.matches("rises steadily with depth").count(), 7, "{text}");
    assert!(!text.contains("after layer"), "{text}");
}
