//! What the place of a cell alone would predict: its column, and its depth.

use std::collections::BTreeMap;

use tomo_map::stats::{mean, ranks};

/// Highest power of the depth.
const DEGREE: usize = 3;
/// A pivot this small against the largest is rounding: the powers cannot be told apart.
const SINGULAR: f64 = 1e-10;

/// Where a cell is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    pub(crate) layer: u32,
    pub(crate) column: usize,
}

/// Every cell's mean rank of `truth` over its column.
pub(crate) fn column_means(positions: &[Position], truth: &[f64]) -> Vec<f64> {
    let ranks = ranks(truth);
    let fit = Curve::fit(positions, &ranks, &(0..positions.len()).collect::<Vec<_>>(), 0);
    positions.iter().map(|p| fit.at(*p)).collect()
}

/// Column mean plus a cubic in depth, which all columns share, of the ranks of `truth`. It is fitted on every other layer and read
/// off at the ones between, so that no cell's own value is in its prediction.
///
/// Ranks, because costs span decades: a fit to the costs themselves would follow the few largest and be an easy control.
pub(crate) fn column_and_depth(positions: &[Position], truth: &[f64]) -> Result<Vec<f64>, String> {
    let mut layers: Vec<u32> = positions.iter().map(|p| p.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    if layers.len() < 2 {
        return Err("with one layer there is no other half to fit on".to_owned());
    }
    let ranks = ranks(truth);
    let is_even = |p: &Position| layers.binary_search(&p.layer).is_ok_and(|at| at % 2 == 0);
    let mut predicted = vec![0.0; positions.len()];
    for even in [true, false] {
        let (target, other): (Vec<usize>, Vec<usize>) =
            (0..positions.len()).partition(|at| is_even(&positions[*at]) == even);
        let curve = Curve::fit(positions, &ranks, &other, DEGREE);
        for at in target {
            predicted[at] = curve.at(positions[at]);
        }
    }
    Ok(predicted)
}

/// A level for each column and a polynomial in depth that all share, by least squares.
struct Curve {
    /// Mean value and mean powers of the depth, by column.
    levels: BTreeMap<usize, (f64, [f64; DEGREE])>,
    /// The same over all cells, for a column that none of the fitted cells is in.
    everywhere: (f64, [f64; DEGREE]),
    slopes: [f64; DEGREE],
    depth: Depth,
}

/// Layers to -1 .. 1, so that powers stay apart.
#[derive(Clone, Copy)]
struct Depth {
    middle: f64,
    half: f64,
}

impl Depth {
    fn powers(self, layer: u32) -> [f64; DEGREE] {
        let x = (f64::from(layer) - self.middle) / self.half;
        // Legendre's polynomials: the same span as x, x^2, x^3, nearly orthogonal.
        [x, 1.5 * x * x - 0.5, 2.5 * x * x * x - 1.5 * x]
    }
}

impl Curve {
    fn fit(positions: &[Position], values: &[f64], cells: &[usize], degree: usize) -> Self {
        let layers = || positions.iter().map(|p| f64::from(p.layer));
        let (low, high) = (layers().fold(f64::INFINITY, f64::min), layers().fold(0.0, f64::max));
        let depth = Depth { middle: (low + high) / 2.0, half: ((high - low) / 2.0).max(0.5) };
        let mut by_column: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        cells.iter().for_each(|at| by_column.entry(positions[*at].column).or_default().push(*at));
        let level = |of: &[usize]| {
            let column = |k: usize| of.iter().map(|at| depth.powers(positions[*at].layer)[k]).collect::<Vec<_>>();
            let value = mean(&of.iter().map(|at| values[*at]).collect::<Vec<_>>());
            (value, std::array::from_fn(|k| mean(&column(k))))
        };
        let levels: BTreeMap<_, _> = by_column.iter().map(|(column, of)| (*column, level(of))).collect();
        let everywhere = level(cells);
        let mut distinct: Vec<u32> = cells.iter().map(|at| positions[*at].layer).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut curve = Self { levels, everywhere, slopes: [0.0; DEGREE], depth };
        // Within columns, levels are gone: what is left is a fit through the origin.
        let rows: Vec<([f64; DEGREE], f64)> = cells
            .iter()
            .map(|at| {
                let (value, powers) = curve.level(positions[*at].column);
                let own = depth.powers(positions[*at].layer);
                (std::array::from_fn(|k| own[k] - powers[k]), values[*at] - value)
            })
            .collect();
        let most = degree.min(distinct.len().saturating_sub(1));
        curve.slopes = (1..=most).rev().find_map(|degree| least_squares(&rows, degree)).unwrap_or_default();
        curve
    }

    fn level(&self, column: usize) -> (f64, [f64; DEGREE]) {
        self.levels.get(&column).copied().unwrap_or(self.everywhere)
    }

    fn at(&self, position: Position) -> f64 {
        let (value, powers) = self.level(position.column);
        let own = self.depth.powers(position.layer);
        (0..DEGREE).fold(value, |sum, k| sum + self.slopes[k] * (own[k] - powers[k]))
    }
}

/// Coefficients of the first `degree` powers by the normal equations; `None` where they cannot be told apart.
fn least_squares(rows: &[([f64; DEGREE], f64)], degree: usize) -> Option<[f64; DEGREE]> {
    let mut system = [[0.0; DEGREE + 1]; DEGREE];
    for (x, y) in rows {
        for i in 0..degree {
            for j in 0..degree {
                system[i][j] += x[i] * x[j];
            }
            system[i][DEGREE] += x[i] * y;
        }
    }
    let largest = (0..degree).map(|i| system[i][i]).fold(0.0, f64::max);
    for at in 0..degree {
        let pivot = (at..degree).max_by(|a, b| system[*a][at].abs().total_cmp(&system[*b][at].abs()))?;
        system.swap(at, pivot);
        if system[at][at].abs() <= largest * SINGULAR {
            return None;
        }
        for below in at + 1..degree {
            let factor = system[below][at] / system[at][at];
            for k in at..=DEGREE {
                system[below][k] -= factor * system[at][k];
            }
        }
    }
    let mut slopes = [0.0; DEGREE];
    for at in (0..degree).rev() {
        let known: f64 = (at + 1..degree).map(|k| system[at][k] * slopes[k]).sum();
        slopes[at] = (system[at][DEGREE] - known) / system[at][at];
    }
    Some(slopes)
}
