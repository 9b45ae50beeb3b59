//! What the place of a cell alone would predict: its column, and its depth.

use std::collections::{BTreeMap, BTreeSet};

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
    predicted(positions, truth, 0)
}

/// Column mean plus a cubic in depth, which all columns share, of the ranks of `truth`.
///
/// Ranks, because costs span decades: a fit to the costs themselves would follow the few largest and be an easy control. Fitted to
/// all cells: a curve that was fitted to half of them and read off at the others knows less of the place than there is to know,
/// and what is left of the place would count as a metric's own.
pub(crate) fn column_and_depth(positions: &[Position], truth: &[f64]) -> Vec<f64> {
    predicted(positions, truth, DEGREE)
}

fn predicted(positions: &[Position], truth: &[f64], degree: usize) -> Vec<f64> {
    let curve = Curve::fit(positions, &ranks(truth), degree);
    positions.iter().map(|p| curve.at(*p)).collect()
}

/// A level for each column and a polynomial in depth that all share, by least squares.
struct Curve {
    /// Mean value and mean powers of the depth, by column.
    levels: BTreeMap<usize, (f64, [f64; DEGREE])>,
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
    fn fit(positions: &[Position], values: &[f64], degree: usize) -> Self {
        let layers: BTreeSet<u32> = positions.iter().map(|p| p.layer).collect();
        let low = f64::from(layers.first().copied().unwrap_or(0));
        let high = f64::from(layers.last().copied().unwrap_or(0));
        let depth = Depth { middle: (low + high) / 2.0, half: ((high - low) / 2.0).max(0.5) };
        let mut by_column: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        (0..positions.len()).for_each(|at| by_column.entry(positions[at].column).or_default().push(at));
        let level = |of: &[usize]| {
            let powers = |k: usize| of.iter().map(|at| depth.powers(positions[*at].layer)[k]).collect::<Vec<f64>>();
            let value = mean(&of.iter().map(|at| values[*at]).collect::<Vec<f64>>());
            (value, std::array::from_fn(|k| mean(&powers(k))))
        };
        let levels = by_column.iter().map(|(column, of)| (*column, level(of))).collect();
        let mut curve = Self { levels, slopes: [0.0; DEGREE], depth };
        // Within columns, levels are gone: what is left is a fit through the origin.
        let rows: Vec<([f64; DEGREE], f64)> = positions
            .iter()
            .zip(values)
            .map(|(position, value)| {
                let (level, own) = (curve.level(position.column), depth.powers(position.layer));
                (std::array::from_fn(|k| own[k] - level.1[k]), value - level.0)
            })
            .collect();
        let most = degree.min(layers.len().saturating_sub(1));
        curve.slopes = (1..=most).rev().find_map(|degree| least_squares(&rows, degree)).unwrap_or_default();
        curve
    }

    /// Mean value and mean powers of a column; every column of the fit has them.
    fn level(&self, column: usize) -> (f64, [f64; DEGREE]) {
        self.levels.get(&column).copied().unwrap_or_default()
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
