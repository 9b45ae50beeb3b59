//! Training by the engine's own passes: weights are put into an engine afresh at every step, which costs a hundredth of the step.

use std::error::Error;
use std::sync::Arc;

use tomo_checkpoint::Config;
use tomo_model::engine::{
    CellGradients, Engine, EngineOptions, GradientObserver, Input, Objective, ParameterGradient, Until, Unwatched,
};
use tomo_model::{Model, OpenOptions};
use tomo_testkit::MemorySource;

use super::adamw::{AdamW, Gradients, Settings, clip};
use super::draw::Draw;
use super::model::{Weights, config};

/// Sums bits of one thread count only: a fixed one makes the training repeatable on any machine.
const THREADS: usize = 2;

/// What a step learns from.
pub(crate) struct Batches {
    /// Tokens, and how often of a hundred a window comes from them.
    pub(crate) streams: Vec<(Vec<u32>, usize)>,
    /// Tokens of each window of a step.
    pub(crate) lengths: Vec<usize>,
    pub(crate) draw: Draw,
}

impl Batches {
    fn next(&mut self) -> Vec<Vec<u32>> {
        let lengths = self.lengths.clone();
        lengths.into_iter().map(|length| self.window(length)).collect()
    }

    fn window(&mut self, length: usize) -> Vec<u32> {
        let mut rest = self.draw.below(100);
        let chosen = self.streams.iter().find(|(_, percent)| {
            let here = rest < *percent;
            rest = rest.saturating_sub(*percent);
            here
        });
        let stream = chosen.map_or(&self.streams[0].0, |(stream, _)| stream);
        let start = self.draw.below(stream.len() - length + 1);
        stream[start..start + length].to_vec()
    }
}

/// Trains `weights`; `watch` sees them before every step, with the number of the step and the mean loss of the step before, and
/// after the last.
pub(crate) fn train(
    weights: &mut Weights,
    settings: &Settings,
    batches: &mut Batches,
    mut watch: impl FnMut(usize, Option<f64>, &Weights) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut optimizer = AdamW::default();
    let mut loss = None;
    for step in 0..settings.steps {
        watch(step, loss, weights)?;
        let (mean, mut gradients, count) = gradients(weights, &batches.next())?;
        let norm = clip(&mut gradients, 1.0 / count, settings.clip);
        if !norm.is_finite() {
            return Err(format!("the gradient of step {step} is not finite").into());
        }
        optimizer.step(weights, &gradients, settings.rate_at(step), settings.decay);
        loss = Some(mean);
    }
    watch(settings.steps, loss, weights)
}

/// Mean negative log likelihood per predicted token of `sequences`, in nats.
pub(crate) fn nll(weights: &Weights, sequences: &[Vec<u32>]) -> Result<f64, Box<dyn Error>> {
    let engine = engine(weights)?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let plan = engine.plan(&lengths, &[], 0, Until::Loss)?;
    let outcome = engine.forward(sequences, &[], &plan, Until::Loss, &Unwatched)?;
    Ok(mean(&outcome.losses).0)
}

/// Mean and number of losses.
fn mean(losses: &[Vec<f64>]) -> (f64, f64) {
    let count = losses.iter().map(Vec::len).sum::<usize>() as f64;
    (losses.iter().flatten().sum::<f64>() / count, count)
}

fn engine(weights: &Weights) -> Result<Engine, Box<dyn Error>> {
    let empty = MemorySource::new(Config::HuggingFace(config("float32")));
    let source = weights.iter().fold(empty, |source, (name, tensor)| {
        let shape: Vec<u64> = tensor.shape.iter().map(|n| *n as u64).collect();
        source.with(name, &shape, tensor.values.clone())
    });
    let model = Model::open(Arc::new(source), &OpenOptions::default())?;
    let architecture = model.architecture()?;
    let options = EngineOptions { threads: Some(THREADS), ..EngineOptions::default() };
    Ok(Engine::new(Arc::new(model), architecture, options)?)
}

/// Mean loss, gradients of the sum of losses, number of losses.
fn gradients(weights: &Weights, sequences: &[Vec<u32>]) -> Result<(f64, Gradients, f64), Box<dyn Error>> {
    let engine = engine(weights)?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let inputs: Vec<Input> = sequences.iter().cloned().map(Input::from).collect();
    let tensors = engine.model().grid().cells.iter().map(|c| c.tensor.clone()).collect();
    let mut sums = Sums { tensors, gradients: Gradients::new() };
    let plan = engine.plan_reverse(&lengths, 1, 0)?;
    let outcome = engine.reverse(&inputs, &[Objective::text()], &mut [&mut sums], &plan, None, &Unwatched)?;
    let (mean, count) = mean(&outcome.losses[0]);
    Ok((mean, sums.gradients, count))
}

/// Gradients of all weights, summed over all sequences.
struct Sums {
    /// Names of the cells' tensors.
    tensors: Vec<String>,
    gradients: Gradients,
}

impl GradientObserver for Sums {
    fn see(&mut self, seen: &CellGradients<'_>) {
        let rows = 0..seen.input.len();
        let known = self.gradients.get_mut(&self.tensors[seen.cell]);
        if let Some(sum) = known {
            seen.weight_gradient(0, &rows, true, sum);
        } else {
            let mut sum = vec![0.0; seen.weights.len()];
            seen.weight_gradient(0, &rows, false, &mut sum);
            self.gradients.insert(self.tensors[seen.cell].clone(), sum);
        }
    }

    fn wants_parameters(&self) -> bool {
        true
    }

    fn parameter(&mut self, gradient: &ParameterGradient<'_>) {
        let sum = self.gradients.entry(gradient.tensor.to_owned()).or_default();
        sum.resize(gradient.values.len(), 0.0);
        sum.iter_mut().zip(gradient.values).for_each(|(sum, g)| *sum += g);
    }
}
