//! Maps made up for these tests.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tomo_map::{Additivity, Cell, Column, Direction, Grid, Map, MetricInfo, Score};
use tomo_testkit::{LlamaDims, metric_info, tiny_map};
use tomo_verify::{Agreement, Options, Row, Source};

/// Grid of a llama with `layers` layers: seven cells each, narrow k and v.
pub(crate) fn grid(layers: u32) -> Grid {
    tiny_map(LlamaDims { layers, ..LlamaDims::TINY }, &[]).grid
}

/// A ground truth: causal, additive, high is costly.
pub(crate) fn causal(id: &str) -> MetricInfo {
    MetricInfo {
        family: "causal".into(),
        direction: Direction::High,
        additivity: Additivity::Additive,
        ..metric_info(id)
    }
}

/// A metric that says high is important.
pub(crate) fn high(id: &str) -> MetricInfo {
    MetricInfo { direction: Direction::High, proxy: true, ..metric_info(id) }
}

/// A map over `grid` with one column per description and list of values.
pub(crate) fn map(grid: &Grid, columns: Vec<(MetricInfo, Vec<f64>)>) -> Map {
    let columns = columns.into_iter().map(|(info, values)| {
        assert_eq!(values.len(), grid.cells.len());
        Column::new(info, values.into_iter().map(Score::from_value).collect())
    });
    Map { columns: columns.collect(), grid: grid.clone(), ..tiny_map(LlamaDims::TINY, &[]) }
}

pub(crate) fn source(map: Map) -> Source {
    Source::new("made-up", map)
}

/// Options with few resamples, since most tests ask for values and not for intervals.
pub(crate) fn quick() -> Options {
    Options { resamples: 50, splits: 20, ..Options::default() }
}

/// A value for each cell.
pub(crate) fn each(grid: &Grid, of: impl FnMut(&Cell) -> f64) -> Vec<f64> {
    grid.cells.iter().map(of).collect()
}

/// Independent standard normal numbers.
pub(crate) fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let one = |rng: &mut ChaCha8Rng| {
        let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    (0..count).map(|_| one(&mut rng)).collect()
}

#[track_caller]
pub(crate) fn row<'a>(found: &'a Agreement, id: &str) -> &'a Row {
    found.rows.iter().find(|row| row.id == id).unwrap_or_else(|| panic!("no row {id}"))
}
