//! What was put into a map is what the report finds.

use std::borrow::Cow;

use tomo_map::{Additivity, Component, Meaning};

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

#[test]
fn losses_are_added_up_and_doubtful_ones_counted() {
    // 8 layers x 7 cells of 0.01 nats, two of them larger; of those one says why it is doubtful.
    let value = |layer: u32, component: Component| match (layer, component) {
        (3, Component::MlpDown) => Some(0.5),
        (5, Component::AttnK) => Some(0.2),
        _ => Some(0.01),
    };
    let mut losses = info("predicted-kl-int2", "Predicted KL");
    (losses.additivity, losses.meaning, losses.unit) =
        (Additivity::Additive, Meaning::Fragile, Cow::Borrowed("nats per token"));
    let mut map = dense(8, &[(losses, &value)]);
    let doubtful = map.columns[0].scores.iter_mut().find(|s| s.value() == Some(0.2)).unwrap();
    *doubtful = doubtful.clone().with_caveat("too large to be second-order");
    let text = crate::report::markdown(&map);
    // 54 x .01 + .7 = 1.24; .7 + 3 x .01 = .73 of it is 58.87 %.
    says(&text, "Added up over 56 cells it comes to 1.24 nats per token, what cells do to each other left out;");
    says(&text, "`L3.mlp.down`, `L5.attn.k`, `L0.attn.q`, `L0.attn.k` and `L0.attn.v` make 58.9 % of it.");
    says(&text, "1 of 56 scored cells (1.79 %) has a score to be read with care: too large to be second-order.");
}
