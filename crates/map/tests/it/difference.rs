//! One map minus another.

use proptest::prelude::*;
use tomo_map::stats::{interval_of_difference, sign_test};
use tomo_map::{
    Component, DifferenceError, Direction, Map, MapErrorKind as Kind, Provenance, Scope, Score, Status, read_json,
    write_json,
};

use crate::samples::{any_map, cell, dense, info, map_of};

const Q: Component = Component::AttnQ;
const K: Component = Component::AttnK;

fn minus(second: &Map, first: &Map) -> Map {
    Map::difference(first, second, &[], false).unwrap()
}

fn written(map: &Map) -> String {
    let mut bytes = Vec::new();
    write_json(map, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn values(map: &Map) -> Vec<Option<f64>> {
    map.columns[0].scores.iter().map(Score::value).collect()
}

#[test]
fn scores_are_taken_from_each_other_and_the_column_says_so() {
    let first = dense(info("s"), &[Q, K], &[&[1.0, 2.0], &[4.0, 8.0]]);
    let second = dense(info("s"), &[Q, K], &[&[1.5, 2.0], &[3.0, 16.0]]);
    let difference = minus(&second, &first);
    assert_eq!(values(&difference), [Some(0.5), Some(0.0), Some(-1.0), Some(8.0)]);
    let info = &difference.columns[0].info;
    assert_eq!((info.id.as_ref(), info.middle, info.direction), ("s@diff", Some(0.0), Direction::Neutral));
    assert_eq!((info.unit.as_ref(), info.title.as_ref()), ("ratio", "A score, second minus first"));
    assert!(difference.validate().is_ok());
    // Drawn like any other map, and not as shares, which signed numbers have none of.
    assert_eq!(difference.default_view("s@diff").unwrap().middle, Some(0.0));
    let share = tomo_map::Normalisation::by_id("layer-share").unwrap();
    assert!(difference.view("s@diff", share).is_err());
}

#[test]
fn a_metric_of_the_column_is_drawn_around_zero_too() {
    let mut by_column = info("s");
    by_column.scope = Scope::Column;
    let map = dense(by_column, &[Q, K], &[&[1.0, 2.0], &[4.0, 8.0]]);
    assert_eq!(map.default_view("s").unwrap().normalisation, "rank");
    let view = minus(&map, &map).default_view("s@diff").unwrap();
    assert_eq!((view.normalisation, view.middle), ("raw", Some(0.0)));
    assert!(!view.across_columns);
}

#[test]
fn a_cell_without_a_score_on_either_side_has_the_reason() {
    let gone = |why| Score::missing(Status::NotMeasured, why);
    let of = |a: Score, b: Score| map_of(info("s"), 1, &[(0, Q, None, a), (0, K, None, b)]);
    let first = of(Score::from_value(1.0).with_caveat("wide"), gone("stopped"));
    let second = of(Score::missing(Status::Undefined, "no noise"), gone("killed"));
    let scores = &minus(&second, &first).columns[0].scores;
    let said = |s: &Score| (s.status(), s.reason().map(str::to_owned));
    assert_eq!(said(&scores[0]), (Status::Undefined, Some("in the second map: no noise".to_owned())));
    assert_eq!(said(&scores[1]), (Status::NotMeasured, Some("in the second map: killed".to_owned())));
    let care = &minus(&first, &first).columns[0].scores[0];
    assert_eq!(care.value(), Some(0.0));
    assert_eq!(care.reason(), Some("in the first map: wide; in the second map: wide"));
}

/// 5 in [4, 7] and 10 in [8, 11]: 5 - sqrt(2² + 2²) and 5 + sqrt(1² + 1²).
#[test]
fn intervals_are_put_together_as_independent_ones() {
    let (low, high) = interval_of_difference((5.0, (4.0, 7.0)), (10.0, (8.0, 11.0)));
    assert!((low - (5.0 - 8f64.sqrt())).abs() < 1e-12 && (high - (5.0 + 2f64.sqrt())).abs() < 1e-12, "{low} {high}");
    let of = |v: f64, low, high| map_of(info("s"), 1, &[(0, Q, None, Score::from_value(v).with_interval(low, high))]);
    let (first, second) = (of(5.0, 4.0, 7.0), of(10.0, 8.0, 11.0));
    assert_eq!(minus(&second, &first).columns[0].scores[0].interval(), Some((low, high)));
    let bare = map_of(info("s"), 1, &[(0, Q, None, Score::from_value(5.0))]);
    assert_eq!(minus(&second, &bare).columns[0].scores[0].interval(), None);
}

/// Both tails of fair coins: of 10, none up is 2 / 1024; of 28, one up is 2 (1 + 28) / 2^28; 5 of 10 is all there is.
#[test]
fn sign_tests_are_those_of_coins() {
    for (higher, lower, want) in [(0, 10, 2.0 / 1024.0), (27, 1, 58.0 / 2f64.powi(28)), (5, 5, 1.0), (0, 0, 1.0)] {
        let got = sign_test(higher, lower);
        assert!((got - want).abs() <= 1e-9 * want, "{higher} and {lower}: {got}, want {want}");
    }
}

#[test]
fn other_grids_are_refused_and_shared_cells_can_be_asked_for() {
    let first = dense(info("s"), &[Q, K], &[&[1.0, 2.0], &[4.0, 8.0]]);
    let deeper = dense(info("s"), &[Q, K], &[&[1.5, 2.0], &[3.0, 16.0], &[0.0, 0.0]]);
    let error = Map::difference(&first, &deeper, &[], false).unwrap_err();
    assert_eq!(error.to_string(), "the maps have different grids: expected 2 layers, found 3");
    let mut wider = first.clone();
    wider.grid.cells[3] = cell(1, K, None, (2, 7));
    let error = Map::difference(&first, &wider, &[], false).unwrap_err().to_string();
    assert!(error.ends_with("expected L1.attn.k of 2 x 3, found L1.attn.k of 2 x 7"), "{error}");
    let narrow = dense(info("s"), &[Q], &[&[1.0], &[4.0]]);
    let error = Map::difference(&first, &narrow, &[], false).unwrap_err().to_string();
    assert!(error.contains("expected L0.attn.k of 2 x 3, found L1.attn.q of 2 x 3"), "{error}");

    let forced = |second: &Map| Map::difference(&first, second, &[], true).unwrap();
    let of_deeper = forced(&deeper);
    assert_eq!((of_deeper.grid.layers, of_deeper.grid.cells.len()), (2, 4));
    assert_eq!(of_deeper.sides.as_ref().unwrap().left_out, ["2 cells are in the second map only"]);
    let told = forced(&wider).sides.unwrap().left_out;
    assert_eq!(told, ["1 cell is of another shape in the second map; they are compared all the same"]);
    let of_narrow = forced(&narrow);
    assert_eq!(values(&of_narrow), [Some(0.0), Some(0.0)]);
    assert!(of_narrow.grid.missing.iter().any(|m| m.component == K) && of_narrow.validate().is_ok());
    let elsewhere = dense(info("s"), &[Component::MlpUp], &[&[1.0]]);
    assert_eq!(Map::difference(&first, &elsewhere, &[], true), Err(DifferenceError::NoSharedCell));
}

#[test]
fn what_only_one_map_holds_is_said() {
    let first = dense(info("s"), &[Q], &[&[1.0]]);
    let mut second = first.clone();
    second.columns.push(second.columns[0].clone());
    second.columns[1].info.id = "t".into();
    let said = |a: &Map, b: &Map| minus(b, a).sides.unwrap().left_out;
    assert_eq!(said(&first, &second), ["t is in the second map only"]);
    assert_eq!(said(&second, &first), ["t is in the first map only"]);
    let asked = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        Map::difference(&first, &second, &ids, false)
    };
    assert!(asked(&["s"]).unwrap().sides.unwrap().left_out.is_empty(), "what was not asked for is not missed");
    assert_eq!(asked(&["t"]).unwrap_err().to_string(), "\"t\" is not in both maps: they share s");
    let mut nats = first.clone();
    nats.columns[0].info.unit = "nats".into();
    let error = Map::difference(&first, &nats, &[], false).unwrap_err();
    assert_eq!(error.to_string(), "the maps have no metric in common: the first holds s, the second s");
    nats.columns.push(second.columns[1].clone());
    assert_eq!(said(&second, &nats), ["s is in ratio in the first map and in nats in the second"]);
    let difference = minus(&first, &first);
    let error = Map::difference(&difference, &first, &[], false).unwrap_err();
    assert!(error.to_string().starts_with("the first map is a difference already"), "{error}");
}

#[test]
fn what_the_maps_are_of_is_held_side_by_side() {
    let with = |model: &str, text: &str, seed| {
        let provenance = Provenance {
            model: model.into(),
            model_digest: format!("blake3:{model}"),
            text_digest: Some(text.into()),
            text: Some("a book".into()),
            seed,
            seconds: seed as f64,
            ..Provenance::default()
        };
        Map { provenance, ..dense(info("s"), &[Q], &[&[1.0]]) }
    };
    let difference = minus(&with("runs/tuned/", "2", 0), &with("runs/base", "1", 0));
    assert_eq!(difference.provenance.model, "tuned minus base");
    let sides = difference.sides.unwrap();
    let unlike: Vec<_> = sides.unlike().into_iter().map(|u| (u.what, u.first, u.second)).collect();
    let row = |what, a: &str, b: &str| (what, a.to_owned(), b.to_owned());
    assert_eq!(
        unlike,
        [
            row("model", "runs/base", "runs/tuned/"),
            row("model digest", "blake3:runs/base", "blake3:runs/tuned/"),
            row("digest of the token ids", "1", "2"),
        ]
    );
    assert!(!sides.same_model() && !sides.same_text());
    // When and how long are no differences.
    let again = minus(&with("m", "1", 0), &Map { ..with("m", "1", 0) });
    assert!(again.sides.unwrap().unlike().is_empty());
    assert_eq!(again.provenance.model, "m: second map minus first");
}

/// Low scores are the important ones: ranks count from the lowest.
#[test]
fn cells_that_moved_most_come_first_with_their_ranks() {
    let mut low = info("s");
    low.direction = Direction::Low;
    let first = dense(low.clone(), &[Q, K], &[&[1.0, 2.0], &[4.0, 8.0]]);
    let second = dense(low, &[Q, K], &[&[1.5, 2.0], &[3.0, 0.5]]);
    let compared = minus(&second, &first).comparison("s@diff").unwrap();
    let movers: Vec<_> = compared
        .movers
        .cells
        .iter()
        .map(|m| (m.id.to_string(), m.first.value, m.second.value, m.difference, m.first.rank, m.second.rank, m.of))
        .collect();
    assert_eq!(
        movers,
        [
            ("L1.attn.k".to_owned(), 8.0, 0.5, -7.5, 4, 1, 4),
            ("L1.attn.q".to_owned(), 4.0, 3.0, -1.0, 3, 4, 4),
            ("L0.attn.q".to_owned(), 1.0, 1.5, 0.5, 1, 2, 4),
        ]
    );
    assert_eq!((compared.metric.as_str(), compared.all.higher, compared.all.lower, compared.all.equal), ("s", 1, 2, 1));
    assert!(!compared.movers.by_column && compared.with_interval == (0, 0));
    // Ranks 1 2 3 4 against 2 3 4 1: 1 - 6 (1 + 1 + 1 + 9) / (4 x 15).
    let over = compared.over_cells.unwrap();
    assert!((over.rho + 0.2).abs() < 1e-12 && over.cells == 4, "{over:?}");
}

/// k moves by 3 where scores are about 1000, q by 2 where they are about 10: within their columns, q moved more.
#[test]
fn where_columns_cannot_be_compared_movers_are_measured_by_their_column() {
    let mut by_column = info("s");
    by_column.scope = Scope::Column;
    let first = dense(by_column.clone(), &[Q, K], &[&[10.0, 1000.0], &[11.0, 1001.0], &[12.0, 1002.0]]);
    let second = dense(by_column, &[Q, K], &[&[12.0, 1003.0], &[11.0, 1001.0], &[12.0, 1002.0]]);
    let compared = minus(&second, &first).comparison("s@diff").unwrap();
    let movers: Vec<_> =
        compared.movers.cells.iter().map(|m| (m.id.to_string(), m.first.rank, m.second.rank, m.of)).collect();
    assert_eq!(movers, [("L0.attn.q".to_owned(), 3, 1, 3), ("L0.attn.k".to_owned(), 3, 1, 3)]);
    assert!(compared.movers.by_column && compared.over_cells.is_none());
    // In k: 1 2 3 against 3 1 2, rho -.5. In q: 1 2 3 against 2.5 1 2.5, whose products about the mean, -.5 + .5, cancel.
    let (mean, columns) = compared.inside_columns.unwrap();
    assert!((mean + 0.25).abs() < 1e-12 && columns == 2, "{mean}");
}

#[test]
fn wrong_sides_are_refused_with_their_place() {
    let map = dense(info("s"), &[Q, K], &[&[1.5, 2.5], &[3.5, 4.5]]);
    let good = written(&minus(&map, &map));
    assert!(read_json(good.as_bytes()).is_ok(), "{good}");
    let cases: &[(&str, &str, Kind, &str)] = &[
        ("\"second\": {", "\"third\": {", Kind::Field, "line"),
        ("\"value\": 3.5", "\"value\": 1e999", Kind::Syntax, "line"),
        (", {\"status\": \"ok\", \"value\": 4.5}", "", Kind::Length, "sides.first.metrics[0].scores"),
        (
            "\"metrics\": [\n    {\"id\": \"s\"",
            "\"metrics\": [\n    {\"id\": \"t\"",
            Kind::Order,
            "sides.first.metrics[0]",
        ),
        (
            "{\"status\": \"ok\", \"value\": 4.5}",
            "{\"status\": \"ok\"}",
            Kind::Number,
            "sides.first.metrics[0].scores[3]",
        ),
    ];
    for (from, to, kind, place) in cases {
        assert!(good.contains(from), "{from} is not in\n{good}");
        let error = read_json(good.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.place().starts_with(place)), (*kind, true), "{from}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_difference_is_a_map_and_can_be_written_and_read(map in any_map()) {
        let Ok(difference) = Map::difference(&map, &map, &[], false) else { return Ok(()) };
        let text = written(&difference);
        prop_assert_eq!(&read_json(text.as_bytes()).unwrap(), &difference);
        // A map taken from itself leaves nothing.
        prop_assert!(difference.columns.iter().flat_map(|c| &c.scores).all(|s| s.value().is_none_or(|v| v == 0.0)));
        for column in &difference.columns {
            let compared = difference.comparison(&column.info.id).unwrap();
            prop_assert!(compared.movers.cells.is_empty() && compared.all.equal == compared.all.cells());
            prop_assert!(difference.default_view(&column.info.id).is_ok());
        }
    }
}
