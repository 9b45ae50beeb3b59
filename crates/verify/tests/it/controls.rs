use tomo_map::stats::spearman;
use tomo_testkit::{Within, assert_close};
use tomo_verify::{Kind, Options, agree};

use crate::made_up::{causal, each, grid, high, map, noise, quick, row, source};

/// Costs are a level for each column, a bend in depth, and something that belongs to the cell alone.
fn costs(grid: &tomo_map::Grid, own: &[f64]) -> Vec<f64> {
    let place = each(grid, |c| {
        let depth = f64::from(c.id.layer) / 14.5 - 1.0;
        [2.0, 0.0, 3.0, 1.0, 0.5, 2.5, 1.5][c.id.component.index()] + 2.0 * depth * depth - depth
    });
    place.iter().zip(own).map(|(p, o)| p + o).collect()
}

#[test]
fn what_knows_the_place_only_knows_nothing_beyond_it() {
    let grid = grid(30);
    let own = noise(210, 1);
    let cost = costs(&grid, &own);
    let depth = each(&grid, |c| (f64::from(c.id.layer) / 14.5 - 1.0).powi(2));
    let place = costs(&grid, &[0.0; 210]);
    let found = agree(
        &[source(map(
            &grid,
            vec![
                (causal("cost"), cost.clone()),
                (high("depth"), depth),
                (high("place"), place.clone()),
                (high("own"), own.clone()),
                (high("both"), cost.iter().zip(noise(210, 2)).map(|(c, n)| c + 0.1 * n).collect()),
            ],
        ))],
        &Options { resamples: 500, ..Options::default() },
    )
    .unwrap();
    let control = &row(&found, "column-and-depth");
    assert_eq!(control.kind, Kind::Control);
    // It comes close to the place itself, which it was not shown.
    let (rho, ceiling) = (control.raw.rho.value().unwrap(), spearman(&place, &cost).unwrap());
    assert!(rho > ceiling - 0.05 && rho < ceiling + 0.05, "{rho} {ceiling}");
    assert_eq!(control.raw.over_control.value(), Some(0.0));

    // A correlation of two independent columns of 210 has a standard error of 0.07.
    for id in ["depth", "place"] {
        let partial = &row(&found, id).raw.partial;
        let (low, high) = partial.interval().unwrap();
        assert!(partial.value().unwrap().abs() < 0.2 && low < 0.1 && high > -0.1, "{id}: {partial:?}");
    }
    // Cost given place is the cell's own part.
    let own = &row(&found, "own").raw;
    assert!(own.partial.value().unwrap() > 0.8 && own.partial.interval().unwrap().0 > 0.7, "{:?}", own.partial);
    // The difference to the control is told from zero on the side where it is.
    let both = row(&found, "both").raw.over_control.clone();
    assert!(both.interval().unwrap().0 > 0.0, "{both:?}");
    assert!(row(&found, "depth").raw.over_control.interval().unwrap().1 < 0.0);
    assert_close(row(&found, "both").raw.rho.value().unwrap() - rho, both.value().unwrap(), Within::Absolute(1e-12));
}

#[test]
fn costs_that_are_the_place_are_predicted_to_the_last_rank() {
    let grid = grid(30);
    // Ranks are linear in layer and column.
    let cost = each(&grid, |c| f64::from(c.id.layer) * 7.0 + c.id.component.index() as f64);
    let found =
        agree(&[source(map(&grid, vec![(causal("cost"), cost), (high("score"), noise(210, 3))]))], &quick()).unwrap();
    let control = &row(&found, "column-and-depth").raw;
    assert_close(control.rho.value().unwrap(), 1.0, Within::Absolute(1e-9));
    assert_eq!(row(&found, "score").raw.partial.reason(), Some("nothing is left beside the control"));
    // Means of columns are equal distances apart and all the same depth: 7 columns of 30.
    let mean = &row(&found, "column-mean").raw;
    assert!(mean.rho.value().unwrap() < 0.1);
    assert!(mean.within_columns.value().is_none());
    assert_close(mean.within_layers.value().unwrap(), 1.0, Within::Absolute(1e-12));
    let layer = &row(&found, "layer").raw;
    assert!(layer.rho.value().unwrap() > 0.99 && layer.within_layers.value().is_none());
}

/// Independent amounts over the same sizes look alike: both are small where the matrix is large.
#[test]
fn division_by_the_size_alone_makes_a_correlation() {
    let grid = grid(30);
    let cost: Vec<f64> = noise(210, 4).iter().map(|n| (0.2 * n).exp()).collect();
    let found = agree(&[source(map(&grid, vec![(causal("cost"), cost)]))], &quick()).unwrap();
    let random = row(&found, "random");
    assert!(random.raw.rho.value().unwrap().abs() < 0.15, "{:?}", random.raw.rho);
    assert!(random.per_parameter.rho.value().unwrap() > 0.3, "{:?}", random.per_parameter.rho);
    assert!(random.raw.rho.reason().unwrap().starts_with("mean of 5 random orders"));
    let size = row(&found, "numel");
    assert!(size.per_parameter.rho.value().unwrap() > 0.8, "{:?}", size.per_parameter.rho);
}

#[test]
fn two_layers_have_a_control_and_one_has_none() {
    for (layers, cells) in [(2, 14), (3, 21), (4, 28)] {
        let grid = grid(layers);
        let found = agree(&[source(map(&grid, vec![(causal("cost"), noise(cells, 5))]))], &quick()).unwrap();
        assert!(row(&found, "column-and-depth").raw.rho.value().is_some(), "{layers}");
    }
    let mut one = grid(2);
    one.cells.iter_mut().for_each(|c| c.id.expert = Some(0));
    let mut experts = one.cells.clone();
    experts.iter_mut().for_each(|c| c.id.expert = Some(1));
    one.cells.extend(experts);
    one.cells.retain(|c| c.id.layer == 0);
    one.cells.sort_by_key(|c| c.id);
    one.layers = 1;
    let found =
        agree(&[source(map(&one, vec![(causal("cost"), noise(14, 6)), (high("score"), noise(14, 7))]))], &quick())
            .unwrap();
    let reason = Some("with one layer there is no other half to fit on");
    assert_eq!(row(&found, "column-and-depth").raw.rho.reason(), reason);
    assert_eq!(row(&found, "score").raw.partial.reason(), reason);
    assert!(row(&found, "score").raw.rho.value().is_some());
}
