//! Every parity fixture backward: gradients against torch's autograd through transformers (`tools/reference/backward.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::SafeTensors;
use tomo_model::engine::{
    CellGradients, Engine, EngineError, EngineOptions, GradientObserver, Input, Loss, Objective, ParameterGradient,
    Resume, ReverseOutcome, Unwatched,
};
use tomo_model::{Model, OpenOptions};

use crate::parity::{Reference, cases};
use crate::source::fixtures;

/// `||difference|| / ||tensor||`; 1e-4 is what is asked for.
const NORM: f64 = 1e-5;
/// Of a gradient that begins with the difference of nearly equal probabilities.
const NORM_OF_DIVERGENCE: f64 = 2e-4;

/// Gradients by the names of the fixtures: rows of a sequence after each other, objective 0 first.
#[derive(Default, Clone, PartialEq, Debug)]
struct Recorder {
    tensors: BTreeMap<String, Vec<f32>>,
    /// `<W, G>` and `sum_t g_t . (y_t - b)` of every cell and sequence.
    products: Vec<(String, f64, f64, f64)>,
    layers: Vec<u32>,
    saves: bool,
}

impl GradientObserver for Recorder {
    fn see(&mut self, seen: &CellGradients<'_>) {
        let cell = format!("L{}.{}{}", seen.id.layer, seen.id.component, of_expert(seen.id.expert));
        for (objective, g) in seen.gradients.iter().enumerate() {
            for span in seen.spans {
                let rows = g.slice(span.rows.start, span.rows.len());
                let name = format!("{objective}:{cell}.grad.{}", span.sequence);
                let old = self.tensors.insert(name.clone(), rows.iter().flatten().copied().collect());
                assert!(old.is_none(), "{name} came twice");
                let mut weights = vec![f32::NAN; seen.weights.len()];
                seen.weight_gradient(objective, &span.rows, false, &mut weights);
                self.products.push(products(&cell, seen, objective, span.rows.clone(), &weights));
                self.tensors.insert(format!("{objective}:{cell}.weight_grad.{}", span.sequence), weights);
            }
        }
    }

    fn layer_done(&mut self, layer: u32) {
        self.layers.push(layer);
    }

    fn wants_parameters(&self) -> bool {
        true
    }

    fn parameter(&mut self, gradient: &ParameterGradient<'_>) {
        let name = format!("{}:{}", gradient.objective, gradient.tensor);
        match self.tensors.get_mut(&name) {
            // The head of a tied embedding comes first.
            Some(sum) => sum.iter_mut().zip(gradient.values).for_each(|(sum, g)| *sum += g),
            None => drop(self.tensors.insert(name, gradient.values.to_vec())),
        }
    }

    fn save(&self) -> Vec<u8> {
        if !self.saves {
            return Vec::new();
        }
        let bits: BTreeMap<&String, Vec<u32>> =
            self.tensors.iter().map(|(k, v)| (k, v.iter().map(|x| x.to_bits()).collect())).collect();
        serde_json::to_vec(&(bits, &self.layers)).unwrap()
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), EngineError> {
        let (bits, layers): (BTreeMap<String, Vec<u32>>, Vec<u32>) = serde_json::from_slice(saved).unwrap();
        self.tensors = bits.into_iter().map(|(k, v)| (k, v.into_iter().map(f32::from_bits).collect())).collect();
        self.layers = layers;
        Ok(())
    }
}

fn of_expert(expert: Option<u32>) -> String {
    expert.map_or(String::new(), |e| format!("[{e}]"))
}

fn products(
    cell: &str,
    seen: &CellGradients<'_>,
    objective: usize,
    rows: std::ops::Range<usize>,
    weights: &[f32],
) -> (String, f64, f64, f64) {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let (mut of_outputs, mut size) = (0.0, 0.0);
    for t in rows {
        let (g, y) = (seen.gradients[objective].row(t), seen.output.row(t));
        let y: Vec<f32> = match seen.bias {
            Some(bias) => y.iter().zip(bias).map(|(y, b)| y - b).collect(),
            None => y.to_vec(),
        };
        of_outputs += dot(g, &y);
        size += (dot(g, g) * dot(&y, &y)).sqrt();
    }
    (cell.to_owned(), of_outputs, dot(seen.weights, weights), size)
}

fn engine(model: Model, change: impl FnOnce(&mut EngineOptions)) -> Engine {
    let architecture = model.architecture().unwrap();
    let mut options = EngineOptions { threads: Some(2), memory_bytes: Some(1 << 30), ..EngineOptions::default() };
    change(&mut options);
    Engine::new(Arc::new(model), architecture, options).unwrap()
}

fn open(folder: &Path) -> Model {
    Model::open(tomo_checkpoint::open(folder).unwrap(), &OpenOptions::default()).unwrap()
}

fn run(engine: &Engine, sequences: &[Vec<u32>], objectives: &[Objective], recorder: &mut Recorder) -> ReverseOutcome {
    let inputs: Vec<Input> = sequences.iter().cloned().map(Input::from).collect();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let plan = engine.plan_reverse(&lengths, objectives.len(), 0).unwrap();
    let outcome = engine.reverse(&inputs, objectives, &mut [recorder], &plan, None, &Unwatched).unwrap();
    assert!(outcome.completed);
    outcome
}

/// `||scale * got - expected|| / ||expected||`; infinite on NaN or where sizes differ.
fn distance(got: &[f32], scale: f64, expected: &[f64]) -> f64 {
    if got.len() != expected.len() {
        return f64::INFINITY;
    }
    let norm: f64 = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let off = got.iter().zip(expected).map(|(a, b)| (f64::from(*a) * scale - b).powi(2)).sum::<f64>().sqrt();
    // Zero where all is zero; a difference from nothing is infinitely far.
    let distance = if off == 0.0 { 0.0 } else { off / norm };
    if distance.is_nan() { f64::INFINITY } else { distance }
}

fn backward_cases() -> Vec<PathBuf> {
    let cases: Vec<PathBuf> = cases().into_iter().filter(|c| c.join("backward.safetensors").exists()).collect();
    assert!(cases.len() >= 69, "only {} cases", cases.len());
    cases
}

#[test]
fn gradients_of_every_case_are_those_of_torch() {
    let (mut compared, mut worst) = (0, (0.0, String::new()));
    for folder in backward_cases() {
        let reference = Reference::read_file(&folder, "backward.safetensors");
        let sequences = Reference::read(&folder).sequences;
        let answer: Vec<Vec<usize>> = sequences.iter().map(|s| (6..=10).filter(|p| *p < s.len()).collect()).collect();
        let objectives = [Objective::text(), Objective { loss: Loss::Text, positions: Some(answer.clone().into()) }];
        let mut recorder = Recorder::default();
        run(&engine(open(&folder), |_| ()), &sequences, &objectives, &mut recorder);
        for (name, expected) in &reference.tensors {
            let (objective, plain) = match name.strip_prefix("answer.") {
                Some(plain) => (1, plain),
                None => (0, name.as_str()),
            };
            let known = plain.starts_with('L') && !plain.contains("residual") && !plain.contains("router");
            if plain.starts_with("kl.") || !known {
                continue;
            }
            let sequence: usize = plain.rsplit('.').next().unwrap().parse().unwrap();
            let count = if objective == 1 { answer[sequence].len() } else { sequences[sequence].len() - 1 };
            let got = &recorder.tensors[&format!("{objective}:{plain}")];
            let off = distance(got, 1.0 / count as f64, expected);
            assert!(off < NORM, "{}: {name}: {off:e}", folder.display());
            compared += 1;
            if off > worst.0 {
                worst = (off, format!("{}: {name}", folder.display()));
            }
        }
        for (cell, of_outputs, of_weights, size) in &recorder.products {
            let off = (of_outputs - of_weights).abs();
            assert!(off <= 3e-6 * size, "{}: {cell}: {of_outputs} {of_weights}", folder.display());
        }
    }
    println!("{compared} tensors, the farthest {:e}: {}", worst.0, worst.1);
    assert!(compared > 1800, "{compared}");
}
