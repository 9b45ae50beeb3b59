//! Normalisations on numbers whose results are exact fractions, and where they are refused.

use proptest::prelude::*;
use tomo_map::{
    Absence, Additivity, Column, Component, Map, MetricInfo, NORMALISATIONS, Normalisation, Place, Scope, Score,
    Status, View, ViewError,
};

use crate::samples::{any_map, dense, info, map_of};

const QK: [Component; 2] = [Component::AttnQ, Component::AttnK];

fn with(change: impl Fn(&mut MetricInfo)) -> MetricInfo {
    let mut info = info("s");
    change(&mut info);
    info
}

fn additive() -> MetricInfo {
    with(|i| i.additivity = Additivity::Additive)
}

fn by(map: &Map, id: &str) -> View {
    map.view("s", Normalisation::by_id(id).unwrap()).unwrap()
}

fn values(view: &View) -> Vec<f64> {
    view.values().map(|(_, _, v)| v).collect()
}

fn reasons(view: &View) -> Vec<&str> {
    view.iter()
        .filter_map(|(_, _, place)| match place {
            Place::Missing { absence: Absence::Undefined, reason } => Some(reason.as_str()),
            _ => None,
        })
        .collect()
}

fn refusal(map: &Map, id: &str) -> String {
    match map.view("s", Normalisation::by_id(id).unwrap()) {
        Err(ViewError::Refused { reason, .. }) => reason,
        other => panic!("{id}: {other:?}"),
    }
}

/// Two layers of q and k, 2 x 3 weights each: q 1 2, k 3 6.
fn small(info: MetricInfo) -> Map {
    dense(info, &QK, &[&[1.0, 3.0], &[2.0, 6.0]])
}

#[test]
fn results_are_the_fractions_one_writes_down() {
    let map = small(additive());
    let sixth = |x: f64| x / 6.0;
    for (id, want) in [
        ("raw", [1.0, 3.0, 2.0, 6.0]),
        ("per-parameter", [1.0, 3.0, 2.0, 6.0].map(sixth)),
        ("layer-share", [0.25, 0.75, 0.25, 0.75]),
        ("model-share", [1.0, 3.0, 2.0, 6.0].map(|x| x / 12.0)),
        ("column-minmax", [0.0, 0.0, 1.0, 1.0]),
        ("column-z", [-1.0, -1.0, 1.0, 1.0]),
        ("rank", [0.0, 2.0 / 3.0, 1.0 / 3.0, 1.0]),
        ("log", [0.0, 3f64.log10(), 2f64.log10(), 6f64.log10()]),
    ] {
        let got = values(&by(&map, id));
        assert_eq!(got.len(), 4, "{id}");
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() <= 1e-15), "{id}: {got:?} {want:?}");
    }
}

#[test]
fn views_name_unit_middle_and_words() {
    let map = small(with(|i| {
        i.additivity = Additivity::Additive;
        i.unit = "nats".into();
        i.middle = Some(1.0);
    }));
    for (id, title, unit, middle) in [
        ("raw", "as measured", "nats", Some(1.0)),
        ("per-parameter", "per weight", "nats per weight", None),
        ("layer-share", "share of the layer's total", "share", Some(0.5)),
        ("model-share", "share of the model's total", "share", Some(0.25)),
        ("column-minmax", "from the column's lowest (0) to its highest (1)", "position in the column", None),
        ("column-z", "standard deviations from the column's mean", "standard deviations", Some(0.0)),
        ("rank", "percentile rank in the map (0 lowest, 1 highest)", "percentile rank", Some(0.5)),
        ("log", "base-10 logarithm", "log10 of nats", Some(0.0)),
    ] {
        let view = by(&map, id);
        assert_eq!((view.normalisation, view.normalisation_title, view.unit.as_ref()), (id, title, unit));
        assert_eq!(view.middle, middle, "{id}");
        assert_eq!(view.across_columns, !id.starts_with("column"), "{id}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_way_out() {
    let signed = small(with(|i| i.additivity = Additivity::Signed));
    for id in ["layer-share", "model-share", "log"] {
        assert_eq!(refusal(&signed, id), "its scores can be negative; use raw, column-z or rank", "{id}");
    }
    assert!(refusal(&signed, "per-parameter").contains("use raw"));
    let average = small(info("s"));
    assert!(refusal(&average, "model-share").contains("is no total"));
    assert!(refusal(&average, "per-parameter").contains("means nothing"));
    assert_eq!(
        by(&average, "layer-share").notes,
        ["this metric does not add up, so its share is only a way of drawing"]
    );
    assert!(by(&small(additive()), "layer-share").notes.is_empty());
    assert_eq!(refusal(&average, "null"), "the map holds no s@null; scan again with --metric s,s@null");
}

#[test]
fn null_shows_the_maps_own_null_metric() {
    let mut map = small(info("s"));
    let null = with(|i| {
        i.id = "s@null".into();
        i.middle = Some(1.0);
        i.unit = "times the null".into();
    });
    map.columns.push(Column::new(null, [4.0, 3.0, 2.0, 1.0].map(Score::from_value).to_vec()));
    let view = by(&map, "null");
    assert_eq!(values(&view), [4.0, 3.0, 2.0, 1.0]);
    assert_eq!((view.info.id.as_ref(), view.unit.as_ref(), view.middle), ("s@null", "times the null", Some(1.0)));
    let again = map.view("s@null", Normalisation::by_id("null").unwrap()).unwrap_err();
    assert!(again.to_string().contains("use raw"), "{again}");
}

#[test]
fn a_denominator_of_zero_is_a_reason() {
    let zero = dense(additive(), &QK, &[&[0.0, 0.0], &[0.0, 0.0]]);
    assert_eq!(reasons(&by(&zero, "layer-share")), ["the layer sums to zero"; 4]);
    assert_eq!(reasons(&by(&zero, "model-share")), ["the model sums to zero"; 4]);
    for id in ["column-minmax", "column-z"] {
        assert_eq!(reasons(&by(&zero, id)), ["the column has the same score in every layer"; 4], "{id}");
    }
    assert_eq!(values(&by(&zero, "rank")), [0.5; 4]);
    assert_eq!(reasons(&by(&zero, "log")).len(), 4);
    let one = dense(additive(), &QK[..1], &[&[7.0]]);
    assert_eq!(reasons(&by(&one, "rank")), ["a single score has no rank"]);
    assert_eq!(values(&by(&one, "layer-share")), [1.0]);
    // Metrics may say what they are not: a negative score of a metric that declares itself non-negative.
    let negative = dense(additive(), &QK, &[&[-1.0, 3.0], &[1.0, 3.0]]);
    assert_eq!(values(&by(&negative, "layer-share")), [0.25, 0.75]);
    assert_eq!(reasons(&by(&negative, "layer-share")).len(), 2);
    assert_eq!(reasons(&by(&negative, "log")).len(), 1);
}

#[test]
fn a_share_needs_the_whole() {
    let map = |status| {
        map_of(
            additive(),
            2,
            &[
                (0, QK[0], None, Score::from_value(1.0)),
                (0, QK[1], None, Score::missing(status, "why")),
                (1, QK[0], None, Score::from_value(1.0)),
                (1, QK[1], None, Score::from_value(1.0)),
            ],
        )
    };
    let view = by(&map(Status::NotMeasured), "layer-share");
    assert_eq!(values(&view), [0.5, 0.5]);
    assert_eq!(reasons(&view), ["the layer's total is not known: a cell of it is not measured"]);
    assert!(values(&by(&map(Status::Undefined), "model-share")).is_empty());
    assert_eq!(values(&by(&map(Status::NotApplicable), "layer-share")), [1.0, 0.5, 0.5]);
}

#[test]
fn ranks_stay_within_the_column_where_only_a_column_may_be_compared() {
    let column = small(with(|i| i.scope = Scope::Column));
    let view = column.default_view("s").unwrap();
    assert_eq!((view.normalisation, view.across_columns), ("rank", false));
    assert_eq!(view.normalisation_title, "percentile rank within the column (0 lowest, 1 highest)");
    assert_eq!(values(&view), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(by(&column, "raw").notes.len(), 1);
    assert!(!by(&column, "raw").across_columns);
    assert_eq!(small(info("s")).default_view("s").unwrap().normalisation, "raw");
}

/// Numbers that cells share are comparable over the map, and every view says which of them are copies.
#[test]
fn shared_numbers_are_said_to_be_shared() {
    for (scope, distinct, words) in [
        (Scope::Input, 4, "four distinct columns"),
        (Scope::Silence, 3, "three distinct columns"),
        (Scope::Layer, 1, "one number per layer"),
    ] {
        let map = small(with(|i| i.scope = scope));
        let view = map.default_view("s").unwrap();
        assert_eq!((view.normalisation, view.across_columns), ("raw", true));
        assert!(view.notes.len() == 1 && view.notes[0].contains(words), "{:?}", view.notes);
        assert_eq!(by(&map, "rank").normalisation_title, "percentile rank in the map (0 lowest, 1 highest)");
        assert_eq!(scope.distinct_columns(), distinct);
    }
    assert!(small(info("s")).default_view("s").unwrap().notes.is_empty());
    assert_eq!((Scope::Map.distinct_columns(), Scope::Column.shared()), (7, None));
}

#[test]
fn per_weight_of_a_mixture_is_total_over_total() {
    let up = Component::MlpUp;
    let map =
        map_of(additive(), 1, &[(0, up, Some(0), Score::from_value(6.0)), (0, up, Some(1), Score::from_value(18.0))]);
    assert_eq!(values(&by(&map, "per-parameter")), [2.0]);
}

#[test]
fn intervals_survive_only_where_they_stay_true() {
    let map = map_of(
        additive(),
        2,
        &[
            (0, QK[0], None, Score::from_value(6.0).with_interval(3.0, 12.0)),
            (1, QK[0], None, Score::from_value(1.0).with_interval(-1.0, 2.0)),
        ],
    );
    let interval = |id: &str, layer| by(&map, id).at(layer, QK[0]).unwrap().reading().unwrap().interval;
    assert_eq!(interval("raw", 0), Some((3.0, 12.0)));
    assert_eq!(interval("per-parameter", 0), Some((0.5, 2.0)));
    assert_eq!(interval("log", 0), Some((3f64.log10(), 12f64.log10())));
    assert_eq!(interval("log", 1), None);
    for id in ["layer-share", "model-share", "column-minmax", "column-z", "rank"] {
        assert_eq!(interval(id, 0), None, "{id}");
    }
}

#[test]
fn the_registry_is_in_order() {
    let ids: Vec<_> = NORMALISATIONS.iter().map(|n| n.id).collect();
    let want = "raw per-parameter layer-share model-share column-minmax column-z rank log null";
    assert_eq!(ids.join(" "), want);
    assert!(NORMALISATIONS.iter().all(|n| !n.summary.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the map: every normalisation is refused with a reason or gives finite numbers where cells are, and
    /// nothing where none are.
    #[test]
    fn numbers_are_finite_or_there_is_a_reason(map in any_map()) {
        for column in &map.columns {
            for normalisation in NORMALISATIONS {
                let view = match map.view(&column.info.id, normalisation) {
                    Ok(view) => view,
                    Err(refused) => { prop_assert!(!refused.to_string().is_empty()); continue }
                };
                prop_assert_eq!(view.iter().count(), 7 * map.grid.layers as usize);
                prop_assert!(view.middle.is_none_or(f64::is_finite));
                for (layer, component, place) in view.iter() {
                    let has_cell = map.grid.cells.iter().any(|c| (c.id.layer, c.id.component) == (layer, component));
                    match place {
                        Place::Value(r) => prop_assert!(r.value.is_finite() && has_cell),
                        Place::Missing { absence, .. } => prop_assert_eq!(absence.has_cell(), has_cell),
                    }
                }
            }
        }
    }
}
