use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, Normal};
use tomo_map::{Component, Score};

use super::curve::{Curve, Point};
use super::draws::Draws;
use super::truncation::{most_nats, truncation_sd};

/// Predicted KL of every cell of some [`Draws`].
#[derive(Clone, PartialEq, Debug)]
pub struct Prediction {
    /// One per cell, in the order of the draws' cells.
    pub cells: Vec<PredictedKl>,
    /// How the control did, component by component; empty without one.
    pub controls: Vec<Control>,
}

/// How the control of a component did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Control {
    /// Which component.
    pub component: Component,
    /// Cells the curve was fitted through.
    pub cells: usize,
    /// Mean factor from the control to the direct estimate: above 1 where tokens far apart act together.
    pub factor: f64,
    /// Spread of the cells around the curve, as a standard deviation of the logarithm of the factor.
    pub spread: f64,
}

/// Predicted KL of changing one cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PredictedKl {
    /// Which component the cell is: how far the second order reaches depends on it.
    pub component: Component,
    /// The plain mean over the draws, in nats per token.
    pub direct: f64,
    /// The best estimate, in nats per token: the plain mean, drawn towards what the control and its neighbours in depth say.
    pub nats: f64,
    /// How far the cell's own ratio was believed, 0 (the curve alone) to 1 (the plain mean).
    pub own_weight: f64,
    /// Standard deviation of `ln nats` from the draws and from being drawn towards the curve; `None` of a single draw.
    pub sampling_sd: Option<f64>,
}

impl PredictedKl {
    /// Interval for the KL that would be measured, at a level between 0 and 1: what the draws leave open and what orders
    /// above the second may add ([`truncation_sd`]); log-normal. `None` of a single draw.
    ///
    /// It is about the text that was run, not about others.
    pub fn interval(&self, level: f64) -> Option<(f64, f64)> {
        let sampling = self.sampling_sd?;
        let sd = sampling.hypot(truncation_sd(self.component, self.nats));
        let tail = 0.5 * (1.0 + level.clamp(0.0, 0.999_999));
        let reach = Normal::standard().inverse_cdf(tail) * sd;
        Some((self.nats * (-reach).exp(), self.nats * reach.exp()))
    }

    /// Why the value is not to be trusted as second-order, if it is not.
    pub fn out_of_range(&self) -> Option<String> {
        let most = most_nats(self.component);
        (self.nats > most).then(|| {
            format!(
                "too large to be second-order: of {} a prediction above {most:.2} nats per token says that the damage is \
                 great, not how great",
                self.component
            )
        })
    }

    /// The value with its 95 % interval, as a map holds it.
    pub fn score(&self) -> Score {
        let score = match self.interval(0.95) {
            Some((low, high)) => Score::from_value(self.nats).with_interval(low, high),
            None => Score::from_value(self.nats),
        };
        match self.out_of_range() {
            Some(caveat) => score.with_caveat(caveat),
            None => score,
        }
    }
}

/// Variance of the mean over draws of the sums over sequences of `x`, `[draws, sequences]`; sequences are independent
/// of each other, draws are exchangeable. `None` of a single draw.
pub(super) fn variance(x: &[f64], draws: usize, sequences: usize) -> Option<f64> {
    if draws < 2 {
        return None;
    }
    let mut sum = 0.0;
    for s in 0..sequences {
        let of_sequence = || x.iter().skip(s).step_by(sequences);
        let mean = of_sequence().sum::<f64>() / draws as f64;
        sum += of_sequence().map(|x| (x - mean).powi(2)).sum::<f64>();
    }
    Some(sum / (draws as f64 * (draws - 1) as f64))
}

/// Relative variance of a mean of squares of Gaussian numbers, whose sizes by sequence are `sizes`.
fn gaussian_noise(sizes: &[f64], draws: usize) -> f64 {
    let whole: f64 = sizes.iter().sum();
    2.0 * sizes.iter().map(|m| (m / whole).powi(2)).sum::<f64>() / draws as f64
}

/// The logarithm of a mean of squares with relative variance `noise` is too low by this much: that of a chi square with
/// `2 / noise` degrees of freedom, `ln x - digamma(x)` at `x = 1 / noise` in its asymptotic series.
fn log_bias(noise: f64) -> f64 {
    noise / 2.0 + noise * noise / 12.0
}

/// Variance of that logarithm, `trigamma(x)` at `x = 1 / noise` in its asymptotic series.
fn log_variance(noise: f64) -> f64 {
    noise + noise * noise / 2.0 + noise.powi(3) / 6.0
}

/// One cell while it is being estimated.
struct Cell {
    at: usize,
    direct: f64,
    /// 1/2 mean_d sum_s v / N.
    control: f64,
    /// What each draw and sequence did to `ln(direct / control)`, centred by sequence. `[draws, sequences]`.
    moves: Vec<f64>,
    /// The same to `ln control`.
    control_moves: Vec<f64>,
    /// Relative variance of the ratio if u were Gaussian.
    gaussian: f64,
    /// That, as wide as it was found to be over the whole component.
    noise: f64,
}

pub(super) fn predict(draws: &Draws) -> Prediction {
    let mut cells: Vec<PredictedKl> = (0..draws.cells().len()).map(|at| plain(draws, at)).collect();
    let mut by_component: BTreeMap<Component, Vec<Cell>> = BTreeMap::new();
    for (at, id) in draws.cells().iter().enumerate() {
        by_component.entry(id.component).or_default().extend(cell(draws, at));
    }
    let mut controls = Vec::new();
    for (component, mut group) in by_component {
        pool_noise(&mut group, draws);
        let depths = draws.cells().iter().map(|id| id.layer).max().unwrap_or(0).max(1);
        let point = |c: &Cell| Point {
            depth: f64::from(draws.cells()[c.at].layer) / f64::from(depths),
            value: (c.direct / c.control).ln() + log_bias(c.noise),
            noise: log_variance(c.noise),
        };
        let points: Vec<Point> = group.iter().map(point).collect();
        let Some(curve) = Curve::fit(&points) else { continue };
        let own: Vec<f64> = points.iter().map(|p| curve.spread.powi(2) / (curve.spread.powi(2) + p.noise)).collect();
        let sd = sampling_sd(&group, &points, &own, &curve, draws);
        for (i, c) in group.iter().enumerate() {
            let factor = curve.fitted[i] + own[i] * (points[i].value - curve.fitted[i]);
            cells[c.at].nats = c.control * factor.exp();
            cells[c.at].own_weight = own[i];
            cells[c.at].sampling_sd = sd.as_ref().map(|sd| sd[i]);
        }
        let factor = (curve.fitted.iter().sum::<f64>() / points.len() as f64).exp();
        controls.push(Control { component, cells: group.len(), factor, spread: curve.spread });
    }
    Prediction { cells, controls }
}

/// The plain mean.
fn plain(draws: &Draws, at: usize) -> PredictedKl {
    let direct = draws.direct(at);
    let squares: Vec<f64> = draws.u(at).iter().map(|u| 0.5 * u * u / draws.tokens()).collect();
    let noise = variance(&squares, draws.draws(), draws.sequences()).map(|v| v / direct.powi(2));
    // A cell that changes nothing has no noise either.
    let sampling_sd = noise.map(|noise| if direct > 0.0 { log_variance(noise).sqrt() } else { 0.0 });
    PredictedKl { component: draws.cells()[at].component, direct, nats: direct, own_weight: 1.0, sampling_sd }
}

/// A cell with a control; `None` where a logarithm would not be finite.
fn cell(draws: &Draws, at: usize) -> Option<Cell> {
    let (u, v) = (draws.u(at), draws.v(at)?);
    let (count, sequences) = (draws.draws(), draws.sequences());
    let scale = 0.5 / draws.tokens() / count as f64;
    let (direct, control) = (draws.direct(at), scale * v.iter().sum::<f64>());
    if !(direct > 0.0 && control > 0.0 && (direct / control).ln().is_finite()) {
        return None;
    }
    // Contributions to the means, relative: they are averaged over draws and summed over sequences.
    let centred = |x: Vec<f64>| centred(x, count, sequences);
    let relative = |x: f64, whole: f64| x * scale * count as f64 / whole;
    let moves = u.iter().zip(v).map(|(u, v)| relative(u * u, direct) - relative(*v, control)).collect();
    let control_moves = v.iter().map(|v| relative(*v, control)).collect();
    let sizes: Vec<f64> = (0..sequences).map(|s| v.iter().skip(s).step_by(sequences).sum()).collect();
    let gaussian = gaussian_noise(&sizes, count);
    Some(Cell {
        at,
        direct,
        control,
        moves: centred(moves),
        control_moves: centred(control_moves),
        gaussian,
        noise: gaussian,
    })
}

/// Takes the mean over draws of each sequence off.
fn centred(mut x: Vec<f64>, draws: usize, sequences: usize) -> Vec<f64> {
    for s in 0..sequences {
        let mean = x.iter().skip(s).step_by(sequences).sum::<f64>() / draws as f64;
        x.iter_mut().skip(s).step_by(sequences).for_each(|x| *x -= mean);
    }
    x
}

/// The noise of one cell's few draws is itself too noisy to weigh with; that of all cells of a component together is not.
fn pool_noise(group: &mut [Cell], draws: &Draws) {
    let found: Option<f64> = group.iter().map(|c| variance(&c.moves, draws.draws(), draws.sequences())).sum();
    let gaussian: f64 = group.iter().map(|c| c.gaussian).sum();
    let factor = found.map_or(1.0, |found| found / gaussian);
    group.iter_mut().for_each(|c| c.noise = factor * c.gaussian);
}

/// Standard deviation of the logarithm of each estimate. Draws are shared by all cells, so what a draw did is followed
/// through the curve to every estimate; what being drawn towards the curve leaves open is added.
fn sampling_sd(group: &[Cell], points: &[Point], own: &[f64], curve: &Curve, draws: &Draws) -> Option<Vec<f64>> {
    let (count, sequences) = (draws.draws(), draws.sequences());
    if count < 2 {
        return None;
    }
    let mut sums = vec![0.0; group.len()];
    for at in 0..count * sequences {
        let moves: Vec<f64> = group.iter().map(|c| c.moves[at]).collect();
        let smooth = curve.smooth(&moves);
        for (i, c) in group.iter().enumerate() {
            sums[i] += (c.control_moves[at] + own[i] * moves[i] + (1.0 - own[i]) * smooth[i]).powi(2);
        }
    }
    let of = |(i, sum): (usize, f64)| {
        let drawn = sum / (count as f64 * (count - 1) as f64);
        // The logarithm spreads wider than the number itself.
        let wider = own[i].powi(2) * (points[i].noise - group[i].noise);
        (drawn + wider + ((1.0 - own[i]) * curve.spread).powi(2)).sqrt()
    };
    Some(sums.into_iter().enumerate().map(of).collect())
}
