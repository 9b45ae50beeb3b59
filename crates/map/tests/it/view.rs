//! From the table to one number per place.

use tomo_map::{Absence, Component, MissingColumn, Normalisation, Place, Score, Status, ViewError};

use crate::samples::{dense, info, map_of};

fn raw() -> &'static Normalisation {
    Normalisation::by_id("raw").unwrap()
}

#[test]
fn experts_are_averaged_and_it_is_said() {
    let up = Component::MlpUp;
    let undefined = Score::missing(Status::Undefined, "no token");
    let map = map_of(
        info("s"),
        3,
        &[
            (0, Component::AttnQ, None, Score::from_value(1.0).with_interval(0.5, 1.5)),
            (0, up, Some(0), Score::from_value(1.0).with_interval(0.5, 1.5)),
            (0, up, Some(1), Score::from_value(4.0)),
            (0, up, Some(7), undefined.clone()),
            (1, up, Some(0), undefined.clone()),
            (1, up, Some(1), undefined),
            (2, up, Some(0), Score::from_value(f64::MAX)),
            (2, up, Some(1), Score::from_value(f64::MAX)),
        ],
    );
    let view = map.view("s", raw()).unwrap();
    let dense = view.at(0, Component::AttnQ).unwrap().reading().unwrap();
    assert_eq!((dense.value, dense.interval, dense.experts, dense.weights), (1.0, Some((0.5, 1.5)), 0, 6));
    let mean = view.at(0, up).unwrap().reading().unwrap();
    assert_eq!((mean.value, mean.interval, mean.experts, mean.experts_left_out, mean.weights), (2.5, None, 2, 1, 12));
    assert_eq!(view.at(1, up), Some(&Place::missing(Absence::Undefined, "no token")));
    assert_eq!(view.at(2, up).unwrap().value(), Some(f64::MAX));
    assert_eq!(view.notes, ["each place of a mixture shows the mean over its experts (up to 2)"]);
    assert_eq!(view.at(3, up), None);
    assert_eq!(view.components(), [Component::AttnQ, up]);
    assert_eq!(view.extent(), Some((1.0, f64::MAX)));
}

#[test]
fn every_kind_of_absence_keeps_its_reason() {
    let mut map = map_of(
        info("s"),
        2,
        &[
            (0, Component::AttnQ, None, Score::missing(Status::NotMeasured, "stopped")),
            (0, Component::AttnK, None, Score::missing(Status::NotApplicable, "not square")),
            (0, Component::AttnV, None, Score::from_value(f64::NAN)),
            (1, Component::AttnQ, None, Score::from_value(2.0)),
        ],
    );
    map.grid.missing.push(MissingColumn { component: Component::MlpGate, reason: "ungated".into() });
    let view = map.view("s", raw()).unwrap();
    let absence = |layer, component| match view.at(layer, component).unwrap() {
        Place::Missing { absence, reason } => (*absence, reason.as_str()),
        Place::Value(reading) => panic!("{reading:?}"),
    };
    assert_eq!(absence(0, Component::AttnQ), (Absence::NotMeasured, "stopped"));
    assert_eq!(absence(0, Component::AttnK), (Absence::NotApplicable, "not square"));
    assert_eq!(absence(0, Component::AttnV), (Absence::Undefined, "not finite (NaN)"));
    assert_eq!(absence(1, Component::MlpGate), (Absence::NoColumn, "ungated"));
    assert_eq!(absence(1, Component::AttnK), (Absence::NoCell, "this layer has no attn.k"));
    assert_eq!(view.values().collect::<Vec<_>>(), [(1, Component::AttnQ, 2.0)]);
}

#[test]
fn rows_columns_and_order_follow_the_grid() {
    let map = dense(info("s"), &[Component::AttnQ, Component::MlpDown], &[&[1.0, 2.0], &[3.0, 4.0]]);
    let view = map.view("s", raw()).unwrap();
    assert_eq!(view.column(Component::MlpDown), [(0, 2.0), (1, 4.0)]);
    assert_eq!(view.row(1), [(Component::AttnQ, 3.0), (Component::MlpDown, 4.0)]);
    assert_eq!(view.iter().count(), 14);
    let unknown = map.view("rms", raw()).unwrap_err();
    assert_eq!(unknown.to_string(), "the map has no metric \"rms\": it holds s");
    assert!(matches!(unknown, ViewError::UnknownMetric { .. }));
}
