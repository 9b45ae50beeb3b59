//! AdamW (Loshchilov and Hutter 2019), its learning rate over time, and clipping.

use std::collections::BTreeMap;

use super::model::Weights;

/// Gradients, by the names of the weights.
pub(crate) type Gradients = BTreeMap<String, Vec<f32>>;

/// What does not change while training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Learning rate at its highest.
    pub(crate) rate: f64,
    /// Steps until it is there.
    pub(crate) warm_up: usize,
    /// Steps until it is at a twentieth.
    pub(crate) steps: usize,
    /// Decay of matrices; norms do not decay.
    pub(crate) decay: f64,
    /// Norm that gradients are cut back to.
    pub(crate) clip: f64,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.95;
const EPSILON: f64 = 1e-8;
/// Share of the learning rate that is left at the end.
const FLOOR: f64 = 0.05;

impl Settings {
    /// Learning rate of step `step` (from 0): linear warm-up, then half a cosine.
    pub(crate) fn rate_at(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.rate * (step + 1) as f64 / self.warm_up as f64;
        }
        let done = (step - self.warm_up) as f64 / (self.steps - self.warm_up).max(1) as f64;
        self.rate * (FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
    }
}

/// Running means of a tensor's gradient and of its square.
#[derive(Default)]
struct Moments {
    first: Vec<f64>,
    second: Vec<f64>,
}

/// The optimizer's state.
#[derive(Default)]
pub(crate) struct AdamW {
    step: i32,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// One step at learning rate `rate`. A tensor without gradient stays as it is.
    pub(crate) fn step(&mut self, weights: &mut Weights, gradients: &Gradients, rate: f64, decay: f64) {
        self.step += 1;
        let (correct1, correct2) = (1.0 - BETA1.powi(self.step), 1.0 - BETA2.powi(self.step));
        for (name, gradient) in gradients {
            let Some(tensor) = weights.get_mut(name) else { continue };
            let moments = self.moments.entry(name.clone()).or_default();
            moments.first.resize(gradient.len(), 0.0);
            moments.second.resize(gradient.len(), 0.0);
            let kept = 1.0 - rate * if tensor.shape.len() > 1 { decay } else { 0.0 };
            let state = moments.first.iter_mut().zip(&mut moments.second);
            for ((w, g), (m, v)) in tensor.values.iter_mut().zip(gradient).zip(state) {
                let g = f64::from(*g);
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                let step = rate * (*m / correct1) / ((*v / correct2).sqrt() + EPSILON);
                #[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
                let moved = (f64::from(*w) * kept - step) as f32;
                *w = moved;
            }
        }
    }
}

/// Scales `gradients` by `share`, then so that their norm is at most `most`; gives the norm before the second.
pub(crate) fn clip(gradients: &mut Gradients, share: f64, most: f64) -> f64 {
    let squares: f64 = gradients.values().flatten().map(|g| f64::from(*g).powi(2)).sum();
    let norm = squares.sqrt() * share;
    #[allow(clippy::cast_possible_truncation, reason = "gradients are f32")]
    let factor = (share * if norm > most { most / norm } else { 1.0 }) as f32;
    gradients.values_mut().flatten().for_each(|g| *g *= factor);
    norm
}
