use tomo_map::{Direction, MetricInfo, Scope, Score, Status};
use tomo_testkit::{Within, assert_close, metric_info};
use tomo_verify::{Kind, Options, Side, agree};

use crate::made_up::{causal, each, grid, high, map, noise, quick, row, source};

#[test]
fn orders_have_the_correlations_they_were_made_with() {
    let grid = grid(12);
    let cost = noise(84, 1);
    let turned: Vec<f64> = cost.iter().map(|c| -c).collect();
    let found = agree(
        &[source(map(
            &grid,
            vec![
                (causal("cost"), cost.clone()),
                (high("same-order"), cost.iter().map(|c| c.exp()).collect()),
                (MetricInfo { direction: Direction::Low, ..metric_info("low-is-important") }, turned.clone()),
                (high("claims-the-opposite"), turned.clone()),
                (MetricInfo { scope: Scope::Column, ..metric_info("takes-no-side") }, turned),
                (high("constant"), vec![3.0; 84]),
                (causal("other-cost"), cost.iter().map(|c| c * 2.0).collect()),
            ],
        ))],
        &Options { with: Some("cost".into()), ..quick() },
    )
    .unwrap();
    for (id, rho, kind, side) in [
        ("same-order", 1.0, Kind::Proxy, Side::High),
        ("low-is-important", 1.0, Kind::Metric, Side::Low),
        ("claims-the-opposite", -1.0, Kind::Proxy, Side::High),
        ("takes-no-side", -1.0, Kind::Metric, Side::Neutral),
        ("other-cost", 1.0, Kind::Measured, Side::High),
    ] {
        let row = row(&found, id);
        assert_eq!((row.kind, row.side, row.cells), (kind, side, 84), "{id}");
        let all = [&row.raw.rho, &row.raw.kendall, &row.raw.within_columns, &row.raw.within_layers];
        assert_close(all.map(|s| s.value().unwrap()), [rho; 4], Within::Absolute(1e-12));
        assert_eq!(row.raw.top_overlap.value(), Some(if rho > 0.0 { 1.0 } else { 0.0 }), "{id}");
        assert_eq!(row.raw.rho.interval(), Some((rho, rho)), "{id}: the same in every sample");
    }
    assert!(row(&found, "takes-no-side").by_column);
    let constant = &row(&found, "constant").raw;
    for score in [&constant.rho, &constant.kendall, &constant.within_columns, &constant.partial] {
        assert_eq!((score.status(), score.reason()), (Status::Undefined, Some("all cells have the same value")));
    }
    // Seven metrics but the truth, and five controls; the best first, what has no order last.
    assert_eq!(found.rows.len(), 6 + 5);
    let strengths: Vec<f64> = found.rows.iter().filter_map(|r| r.strength(&r.raw)).collect();
    assert!(strengths.len() == 10 && strengths.is_sorted_by(|a, b| a >= b), "{strengths:?}");
    assert_eq!(found.rows.last().unwrap().id, "constant");
    assert_eq!((found.truth.cells, found.top), (84, 8));
}

/// Two layers of the seven columns, worked out by hand.
#[test]
fn correlations_inside_columns_and_layers_are_means() {
    let grid = grid(3);
    // Costs rise along the columns of every layer, and with the layer.
    let cost = each(&grid, |c| f64::from(c.id.layer) * 10.0 + c.id.component.index() as f64);
    // Rises with the layer in the first column, falls in the second, has one swap in the third, is constant in the others.
    let score = each(&grid, |c| match (c.id.component.index(), c.id.layer) {
        (0, layer) => f64::from(layer),
        (1, layer) => 10.0 - f64::from(layer),
        (2, layer) => [21.0, 20.0, 22.0][layer as usize],
        (column, _) => 30.0 + column as f64,
    });
    let found = agree(&[source(map(&grid, vec![(causal("cost"), cost), (high("score"), score)]))], &quick()).unwrap();
    let form = &row(&found, "score").raw;
    // Correlations 1, -1 and, with neighbours of three swapped, 1 - 6 * 2 / (3 * 8) = 1/2.
    assert_close(form.within_columns.value().unwrap(), 0.5 / 3.0, Within::Absolute(1e-12));
    assert_eq!(form.within_columns.reason(), Some("mean of 3 of 7 columns"));
    // In every layer the scores rise along the columns.
    assert_close(form.within_layers.value().unwrap(), 1.0, Within::Absolute(1e-12));
    assert_eq!(form.within_layers.reason(), None);
}

#[test]
fn amounts_are_compared_per_weight_and_averages_as_they_are() {
    let grid = grid(12);
    let per_weight = noise(84, 2).iter().map(|n| n.exp()).collect::<Vec<_>>();
    let cost: Vec<f64> = per_weight.iter().zip(&grid.cells).map(|(p, c)| p * c.numel() as f64).collect();
    let found = agree(
        &[source(map(
            &grid,
            vec![(causal("cost"), cost.clone()), (causal("amount"), cost), (high("average"), per_weight)],
        ))],
        &Options { with: Some("cost".into()), ..quick() },
    )
    .unwrap();
    for id in ["amount", "average"] {
        assert_close(row(&found, id).per_parameter.rho.value().unwrap(), 1.0, Within::Absolute(1e-12));
    }
    let raw = |id| row(&found, id).raw.rho.value().unwrap();
    assert!(raw("amount") == 1.0 && raw("average") < 0.99, "{}", raw("average"));

    // Costs that are no sums have no cost per weight.
    let averages = map(&grid, vec![(MetricInfo { family: "causal".into(), ..metric_info("cost") }, noise(84, 3))]);
    let found = agree(&[source(averages)], &quick()).unwrap();
    assert!(found.rows.iter().all(|r| r.per_parameter.rho.reason() == Some("the truth does not add up over weights")));
}

#[test]
fn only_cells_with_both_are_compared() {
    let grid = grid(12);
    let cost = noise(84, 4);
    let mut whole =
        map(&grid, vec![(causal("cost"), cost.clone()), (high("partly"), cost.clone()), (high("hardly"), cost)]);
    let none = |reason: &str| Score::missing(Status::NotMeasured, reason);
    whole.columns[0].scores[0] = none("ended before");
    (1..14).for_each(|at| whole.columns[1].scores[at] = none("no data"));
    (9..84).for_each(|at| whole.columns[2].scores[at] = none("no data"));
    let found = agree(&[source(whole)], &quick()).unwrap();
    assert_eq!((found.truth.cells, row(&found, "partly").cells), (83, 70));
    assert_eq!(row(&found, "partly").raw.rho.value(), Some(1.0));
    assert_eq!(found.left_out.len(), 1);
    assert_eq!(found.left_out[0].id, "hardly");
    assert!(found.left_out[0].reason.starts_with("8 cells"), "{}", found.left_out[0].reason);
    assert_eq!(row(&found, "random").cells, 83);
}

#[test]
fn several_maps_are_one_table() {
    let grid = grid(12);
    let cost = noise(84, 5);
    let truth = map(&grid, vec![(causal("cost"), cost.clone()), (high("score"), noise(84, 6))]);
    let mut other = map(&grid, vec![(causal("cost"), cost), (high("score"), noise(84, 7))]);
    other.provenance.text = Some("another book".into());
    other.provenance.text_digest = Some("beef".into());
    let mut second = source(other);
    second.name = "second".into();
    let found = agree(&[source(truth), second], &quick()).unwrap();
    assert_eq!(found.truth.map, "made-up");
    assert_eq!(row(&found, "cost (second)").raw.rho.value(), Some(1.0));
    assert!(row(&found, "score (made-up)").raw.rho.value() != row(&found, "score (second)").raw.rho.value());
    assert!(found.notes.iter().any(|n| n.contains("another book")), "{:?}", found.notes);
}

#[test]
fn the_same_seed_gives_the_same_table() {
    let grid = grid(12);
    let maps = [source(map(&grid, vec![(causal("cost"), noise(84, 8)), (high("score"), noise(84, 9))]))];
    let with = |seed| agree(&maps, &Options { seed, ..quick() }).unwrap();
    assert_eq!(with(0), with(0));
    assert_ne!(row(&with(0), "score").raw.rho.interval(), row(&with(1), "score").raw.rho.interval());
    assert_eq!(row(&with(0), "score").raw.rho.value(), row(&with(1), "score").raw.rho.value());
}
