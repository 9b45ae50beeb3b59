//! How a column changes along depth: a step, a line, or nothing that a test supports.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{constant, mean, scaled};

/// Fewest layers for which a shape is fitted.
const MIN_LAYERS: usize = 8;
/// Fewest layers on either side of a step.
const MIN_SIDE: usize = 2;
/// Random orders of the layers a shape is held against.
const PERMUTATIONS: u32 = 1999;
/// A shape is stated if its corrected p-value is at most this.
const LEVEL: f64 = 0.01;
/// Relative differences this small are the arithmetic's, not the model's.
const ROUNDING: f64 = 1e-12;

/// Two levels: the least-squares fit of one mean to the first `first` values and another to the rest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Split {
    /// Number of values in the first part, at least 2 and at most n - 2.
    pub first: usize,
    /// Mean of the first part.
    pub before: f64,
    /// Mean of the rest.
    pub after: f64,
    /// Share of the variance that the two means explain (R^2), 0 to 1.
    pub explained: f64,
}

/// A straight line through (position, value) by least squares.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// The line at the first position.
    pub start: f64,
    /// The line at the last position.
    pub end: f64,
    /// Share of the variance that the line explains (R^2), 0 to 1.
    pub explained: f64,
}

/// The simplest description of a column along depth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape {
    /// A step between two levels.
    Step(Split),
    /// A steady rise or fall.
    Drift(Line),
}

/// What speaks for a shape.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Evidence {
    /// Share of the variance explained (R^2).
    pub explained: f64,
    /// Share of random orders of the layers (this one included) in which the same fit explains at least as much.
    pub p: f64,
    /// `p` times the number of tests made (Bonferroni), at most 1.
    pub p_corrected: f64,
    /// Number of tests corrected for.
    pub tests: u32,
    /// Number of random orders drawn.
    pub permutations: u32,
}

/// A shape with its evidence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ShapeTest {
    /// The shape.
    pub shape: Shape,
    /// What speaks for it.
    pub evidence: Evidence,
}

impl ShapeTest {
    /// Fits a step and a line to `profile` (position, value; sorted by position), keeps the one with the lower Bayesian
    /// information criterion (a step has one parameter more) and tests it against random orders of the values.
    ///
    /// `columns` is how many profiles are looked at together; two tests are counted for each. `None` for fewer than
    /// 8 values or equal ones.
    pub fn fit(profile: &[(u32, f64)], columns: u32, seed: u64) -> Option<Self> {
        let positions: Vec<f64> = profile.iter().map(|(at, _)| f64::from(*at)).collect();
        let values: Vec<f64> = profile.iter().map(|(_, v)| *v).collect();
        if values.len() < MIN_LAYERS || constant(&values) {
            return None;
        }
        let (step, drift) = (split(&values)?, line(&positions, &values)?);
        let n = values.len() as f64;
        // Floored, because a perfect fit has an infinite criterion.
        let criterion = |explained: f64, parameters: f64| n * (1.0 - explained).max(1e-12).ln() + parameters * n.ln();
        let shape = if criterion(step.explained, 3.0) < criterion(drift.explained, 2.0) {
            Shape::Step(step)
        } else {
            Shape::Drift(drift)
        };
        let as_high = orders_as_high(&positions, &values, &shape, seed);
        let p = f64::from(as_high + 1) / f64::from(PERMUTATIONS + 1);
        let tests = columns.saturating_mul(2);
        let explained = shape.explained();
        let p_corrected = (p * f64::from(tests)).min(1.0);
        let evidence = Evidence { explained, p, p_corrected, tests, permutations: PERMUTATIONS };
        Some(Self { shape, evidence })
    }

    /// Whether the evidence is good enough to state the shape: corrected p of at most 0.01.
    pub fn passes(&self) -> bool {
        self.evidence.p_corrected <= LEVEL
    }
}

impl Shape {
    /// Share of the variance explained (R^2).
    pub fn explained(&self) -> f64 {
        match self {
            Self::Step(split) => split.explained,
            Self::Drift(line) => line.explained,
        }
    }

    /// Level before and after a step, or the line at its two ends.
    pub fn levels(&self) -> (f64, f64) {
        match self {
            Self::Step(split) => (split.before, split.after),
            Self::Drift(line) => (line.start, line.end),
        }
    }
}

/// Values scaled and centred, with the sum of their squares; `None` if they do not vary beyond rounding.
fn centred(values: &[f64]) -> Option<(Vec<f64>, f64)> {
    let (unit, _) = scaled(values);
    let mean = unit.iter().sum::<f64>() / unit.len() as f64;
    let centred: Vec<f64> = unit.iter().map(|v| v - mean).collect();
    let squares: f64 = centred.iter().map(|v| v * v).sum();
    (squares > unit.len() as f64 * ROUNDING * ROUNDING).then_some((centred, squares))
}

/// Best split of centred values: length of the first part, and the sum of squares between the parts.
fn best_split(centred: &[f64]) -> (usize, f64) {
    let n = centred.len();
    let mut best = (MIN_SIDE, -1.0);
    let mut sum = 0.0;
    for (at, value) in centred.iter().enumerate() {
        sum += value;
        let first = at + 1;
        if first < MIN_SIDE || first + MIN_SIDE > n {
            continue;
        }
        let between = sum * sum * n as f64 / (first as f64 * (n - first) as f64);
        if between > best.1 {
            best = (first, between);
        }
    }
    best
}

/// The best step in `values`, at least two on either side; the first of equally good ones. `None` for fewer than four
/// values or equal ones.
pub fn split(values: &[f64]) -> Option<Split> {
    if values.len() < 2 * MIN_SIDE || constant(values) {
        return None;
    }
    let (unit, squares) = centred(values)?;
    let (first, between) = best_split(&unit);
    let (head, tail) = values.split_at(first);
    Some(Split { first, before: mean(head), after: mean(tail), explained: (between / squares).clamp(0.0, 1.0) })
}

/// The least-squares line; `None` for fewer than two positions or equal values.
pub fn line(positions: &[f64], values: &[f64]) -> Option<Line> {
    if values.len() < 2 || positions.len() != values.len() || constant(values) {
        return None;
    }
    let (x, x_squares) = centred(positions)?;
    let (y, y_squares) = centred(values)?;
    let products: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    let (_, scale) = scaled(values);
    let (middle, slope) = (mean(values), products / x_squares);
    let at = |x: f64| middle + slope * x * scale;
    let explained = (products * products / (x_squares * y_squares)).clamp(0.0, 1.0);
    Some(Line { start: at(*x.first()?), end: at(*x.last()?), explained })
}

/// In how many random orders of `values` the same kind of fit explains at least as much.
fn orders_as_high(positions: &[f64], values: &[f64], shape: &Shape, seed: u64) -> u32 {
    let (Some((x, x_squares)), Some((mut y, y_squares))) = (centred(positions), centred(values)) else {
        return PERMUTATIONS;
    };
    let explained = |y: &[f64]| match shape {
        Shape::Step(_) => best_split(y).1 / y_squares,
        Shape::Drift(_) => {
            let products: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
            products * products / (x_squares * y_squares)
        }
    };
    // An order that only swaps equal values must count as equal whatever the rounding.
    let bar = shape.explained() * (1.0 - 1e-9);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut as_high = 0;
    for _ in 0..PERMUTATIONS {
        y.shuffle(&mut rng);
        as_high += u32::from(explained(&y) >= bar);
    }
    as_high
}
