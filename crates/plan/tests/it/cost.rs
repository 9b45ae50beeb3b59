//! Where costs come from, by arithmetic.

use tomo_map::{Cell, Column, Score, Status};
use tomo_plan::{CostModel, Kind, Options, Plan, PlanError, make_plan};

use crate::samples::{GGUF, INTEGERS, Of, bits, importance, info, map};

fn with(types: &[&str], cost: &str, asked: &str) -> Options {
    Options { types: types.iter().map(|t| t.parse().unwrap()).collect(), cost: cost.parse().unwrap(), ..bits(asked) }
}

/// A budget that everything fits, so that every cell gets the last and cheapest type.
const ALL: &str = "16bpw";

fn plan(map: &tomo_map::Map, types: &[&str], cost: &str) -> Result<Plan, PlanError> {
    make_plan(map, &GGUF, &with(types, cost, ALL))
}

fn close(got: f64, expected: f64) {
    tomo_testkit::assert_close(got, expected, tomo_testkit::Within::Relative(1e-12));
}

const KL: Of<'_> = &|at: usize, _: &Cell| importance(at);
const TENTH: Of<'_> = &|_: usize, _: &Cell| 0.1;
const FIFTH: Of<'_> = &|_: usize, _: &Cell| 0.2;

#[test]
fn measured_costs_are_the_scores() {
    let plan = plan(&map(2, &[("quant-kl-q4_0", KL)]), &["q4_0"], "auto").unwrap();
    for (at, cell) in plan.cells.iter().enumerate() {
        assert_eq!(cell.cost, importance(at));
    }
    assert_eq!(
        (plan.cost.how.as_str(), plan.cost.unit.as_str(), plan.cost.proxy),
        ("measured", "nats per token", false)
    );
    assert_eq!(plan.cost.metrics, ["quant-kl-q4_0"]);
}

#[test]
fn another_format_is_scaled_by_the_squared_error() {
    // q5_0 from q4_0: (0.1 / 0.2)^2 = 1/4 of the cost.
    let map = map(1, &[("quant-kl-q4_0", KL), ("err-q4_0", FIFTH), ("err-q5_0", TENTH)]);
    let plan = plan(&map, &["q5_0"], "auto").unwrap();
    plan.cells.iter().enumerate().for_each(|(at, cell)| close(cell.cost, importance(at) / 4.0));
    assert_eq!(plan.cost.how, "measured at q4_0 and scaled by the squared error");
    assert_eq!(plan.cost.metrics, ["err-q4_0", "err-q5_0", "quant-kl-q4_0"]);
}

/// Where both formats have predictions, their ratio counts and not that of the errors: 3 / 2 of the cost, not 1/4 of it. Of a
/// format without a prediction the errors count as before.
#[test]
fn predictions_carry_a_measured_cost_to_another_format() {
    let (two, three): (Of<'_>, Of<'_>) = (&|_, _| 2.0, &|_, _| 3.0);
    let columns = [
        ("quant-kl-q4_0", KL),
        ("err-q4_0", FIFTH),
        ("err-q5_0", TENTH),
        ("err-q8_0", TENTH),
        ("predicted-kl-q4_0", two),
        ("predicted-kl-q5_0", three),
    ];
    let map = map(1, &columns);
    let found = plan(&map, &["q5_0"], "auto").unwrap();
    found.cells.iter().enumerate().for_each(|(at, cell)| close(cell.cost, importance(at) * 1.5));
    assert_eq!(found.cost.how, "measured at q4_0 and scaled by what is predicted");
    assert_eq!(found.cost.metrics, ["predicted-kl-q4_0", "predicted-kl-q5_0", "quant-kl-q4_0"]);
    assert!(!found.cost.proxy);
    let found = plan(&map, &["q8_0"], "scaled").unwrap();
    found.cells.iter().enumerate().for_each(|(at, cell)| close(cell.cost, importance(at) / 4.0));
}

#[test]
fn of_several_measured_formats_the_nearest_in_error_is_scaled() {
    // q5_1's error .1 is nearer to q5_0's .12 than to q4_0's .3: cost 7 * (.1 / .12)^2.
    let (seven, q5_0, q4_0): (Of<'_>, Of<'_>, Of<'_>) = (&|_, _| 7.0, &|_, _| 0.12, &|_, _| 0.3);
    let columns =
        [("quant-kl-q4_0", KL), ("quant-kl-q5_0", seven), ("err-q4_0", q4_0), ("err-q5_0", q5_0), ("err-q5_1", TENTH)];
    let plan = plan(&map(1, &columns), &["q5_1"], "scaled").unwrap();
    plan.cells.iter().for_each(|cell| close(cell.cost, 7.0 * (0.1_f64 / 0.12).powi(2)));
}

#[test]
fn errors_by_input_are_preferred_where_both_are_there() {
    let half: Of<'_> = &|_, _| 0.5;
    let columns =
        [("quant-kl-q4_0", KL), ("err-q4_0", TENTH), ("err-q4_0@x", FIFTH), ("err-q5_0", half), ("err-q5_0@x", TENTH)];
    let plan = plan(&map(1, &columns), &["q5_0"], "auto").unwrap();
    plan.cells.iter().enumerate().for_each(|(at, cell)| close(cell.cost, importance(at) / 4.0));
}

#[test]
fn each_model_can_be_asked_for() {
    let (two, three): (Of<'_>, Of<'_>) = (&|_, _| 2.0, &|_, _| 3.0);
    let columns = [
        ("quant-kl-q4_0", KL),
        ("predicted-kl-q4_0", two),
        ("noise-alpha", three),
        ("fisher", FIFTH),
        ("err-q4_0", TENTH),
        ("err-q5_0", FIFTH),
    ];
    let map = map(1, &columns);
    // q5_0: predicted 2 * (.2 / .1)^2 = 8; alpha 3 * .04; error .04; fisher .2 * .04; measured scaled by 4.
    for (model, expected, proxy, unit) in [
        ("predicted", 8.0, true, "nats per token"),
        ("alpha", 0.12, false, "nats per token"),
        ("weights", 0.04, true, "squared relative error"),
        ("fisher", 0.008, true, "ratio times squared relative error"),
        ("predicted-kl-q4_0", 8.0, true, "nats per token"),
    ] {
        let plan = plan(&map, &["q5_0"], model).unwrap();
        plan.cells.iter().for_each(|cell| close(cell.cost, expected));
        assert_eq!((plan.cost.proxy, plan.cost.unit.as_str()), (proxy, unit), "{model}: {:?}", plan.cost);
        assert_eq!(plan.cost.how.contains("proxy"), matches!(model, "weights" | "fisher"), "{:?}", plan.cost);
    }
    let error = plan(&map, &["q5_0"], "measured").unwrap_err().to_string();
    assert!(error.contains("tomograph map tiny --metric quant-kl-q5_0 --text FILE"), "{error}");
    assert_eq!("scaled".parse(), Ok(CostModel::Scaled));
    assert_eq!(CostModel::Weights.to_string(), "weights");
}

#[test]
fn formats_may_come_by_different_ways_in_one_unit() {
    let columns = [("quant-kl-q4_0", KL), ("err-q4_0", FIFTH), ("err-q8_0", TENTH)];
    let plan = make_plan(&map(2, &columns), &GGUF, &with(&["q4_0", "q8_0", "f16"], "auto", "6bpw")).unwrap();
    assert_eq!(plan.cost.how, "f16: as it is; q4_0: measured; q8_0: measured at q4_0 and scaled by the squared error");
    assert!(plan.cells.iter().any(|cell| cell.cost != 0.0));
}

#[test]
fn what_stores_weights_as_they_are_costs_nothing() {
    let plan = plan(&map(1, &[("err-q4_0", TENTH)]), &["q4_0", "f16"], "auto").unwrap();
    assert_eq!(plan.totals.cost, 0.0);
    assert!(plan.stored().all(|(_, stored)| stored.to_string() == "f16"));
}

#[test]
fn a_map_without_what_is_needed_says_what_to_run() {
    type Columns<'a> = &'a [(&'a str, Of<'a>)];
    let cases: [(Columns<'_>, &str, &str); 5] = [
        (&[], "auto", "--metric predicted-kl-q4_0,predicted-kl-q5_0 --text FILE"),
        (&[("quant-kl-q4_0", KL)], "auto", "--metric quant-kl-q4_0,err-q4_0,err-q5_0 --text FILE"),
        (&[], "weights", "--metric err-q4_0,err-q5_0\n"),
        (&[("noise-alpha", KL)], "alpha", "--metric noise-alpha,err-q4_0,err-q5_0 --text FILE"),
        (&[], "fishes", "--metric fishes"),
    ];
    for (columns, model, command) in cases {
        let error = plan(&map(1, columns), &["q4_0", "q5_0"], model).unwrap_err();
        assert!(format!("{error}\n").contains(command), "{model}: {error}");
    }
}

#[test]
fn cells_without_a_score_are_named_and_never_free() {
    let mut map = map(2, &[("quant-kl-q4_0", KL)]);
    for at in [3, 5, 6, 9, 11] {
        map.columns[0].scores[at] = Score::missing(Status::NotMeasured, "the scan was ended");
    }
    let error = plan(&map, &["q4_0"], "auto").unwrap_err().to_string();
    assert!(error.contains("L0.attn.o (the scan was ended), L0.mlp.down (the scan was ended)"), "{error}");
    assert!(error.contains("2 more") && error.contains("--metric quant-kl-q4_0"), "{error}");
}

#[test]
fn an_error_of_zero_cannot_be_scaled_from() {
    let zero: Of<'_> = &|at, _| if at == 2 { 0.0 } else { 0.1 };
    let map = map(1, &[("quant-kl-q4_0", KL), ("err-q4_0", zero), ("err-q5_0", TENTH)]);
    let error = plan(&map, &["q5_0"], "auto").unwrap_err().to_string();
    assert!(error.contains("err-q4_0") && error.contains("L0.attn.v (0)"), "{error}");
}

#[test]
fn integers_in_other_groups_than_the_maps_are_refused() {
    let map = map(1, &[("quant-kl-int4", KL)]);
    let options = |group| with(&[group], "auto", ALL);
    assert!(make_plan(&map, &INTEGERS, &options("int4:g32")).is_ok());
    let mut other = map.clone();
    other.provenance.group = None; // 128, as the command's default
    let error = make_plan(&other, &INTEGERS, &options("int4:g32")).unwrap_err().to_string();
    assert!(error.contains("groups of 128") && error.contains("--group 32"), "{error}");
}

#[test]
fn metrics_that_do_not_say_what_matters_are_refused() {
    let mut map = map(1, &[("err-q4_0", TENTH), ("kurtosis", &|_, _| -1.0)]);
    let error = plan(&map, &["q4_0"], "kurtosis").unwrap_err().to_string();
    assert!(error.contains("below 0"), "{error}");
    map.columns[1].info.direction = tomo_map::Direction::Neutral;
    let error = plan(&map, &["q4_0"], "kurtosis").unwrap_err().to_string();
    assert!(error.contains("does not say"), "{error}");
}

#[test]
fn a_cost_below_zero_or_not_falling_is_kept_as_measured() {
    let (low, high): (Of<'_>, Of<'_>) = (&|_, _| -0.5, &|_, _| 0.25);
    let plan = plan(&map(1, &[("quant-kl-q4_0", low), ("quant-kl-q5_0", high)]), &["q4_0", "q5_0"], "auto").unwrap();
    // The larger type is the worse one, so nobody gets it: 7 cells at -0.5.
    assert_eq!(plan.totals.cost, -3.5);
    assert!(plan.about.notes.iter().any(|note| note.contains("of the budget is left")), "{:?}", plan.about.notes);
}

#[test]
fn a_difference_of_maps_and_an_empty_map_are_no_basis() {
    let mut empty = map(1, &[]);
    empty.grid.cells.clear();
    assert!(matches!(plan(&empty, &["q4_0"], "auto"), Err(PlanError::Map { .. })));
    let kind = Options { kind: Kind::Bits, ..bits(ALL) };
    assert!(matches!(make_plan(&empty, &GGUF, &kind), Err(PlanError::Map { .. })));
    let _: Column = Column::new(info("any"), vec![]);
}
