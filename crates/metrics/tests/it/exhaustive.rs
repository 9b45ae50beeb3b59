//! Predicted KL on a model with so few tokens that the mean over all labels can be taken: draws are unbiased, and what they
//! estimate is the second derivative of the divergence.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use tomo_metrics::{Gradients, Options, select};
use tomo_model::Model;
use tomo_model::engine::{CellGradients, Engine, EngineOptions, GradientObserver, Input, Loss, Objective, Unwatched};

use crate::engine::open;
use crate::taps::fixtures;

/// Four tokens, so three predictions; 61 labels each.
const SEQUENCE: [u32; 4] = [1, 17, 44, 8];
const LABELS: usize = 61;
const GROUP: usize = 8;
const FORMAT: &str = "int2";

/// Every label at every position by itself, position by position.
fn all_labels() -> Vec<Objective> {
    let one = |position: usize, label: usize| {
        let mut labels = vec![0; SEQUENCE.len() - 1];
        labels[position - 1] = u32::try_from(label).unwrap();
        Objective { loss: Loss::Labels(vec![labels]), positions: Some(vec![vec![position]].into()) }
    };
    (1..SEQUENCE.len()).flat_map(|position| (0..LABELS).map(move |label| one(position, label))).collect()
}

/// `-log p` of every label at every position.
fn reverse(model: &Arc<Model>, objectives: &[Objective], observers: &mut [&mut dyn GradientObserver]) -> Vec<f64> {
    let engine = Engine::new(model.clone(), model.architecture().unwrap(), EngineOptions::default()).unwrap();
    let plan = engine.plan_reverse(&[SEQUENCE.len()], objectives.len(), 0).unwrap();
    let inputs = [Input::from(SEQUENCE.to_vec())];
    let outcome = engine.reverse(&inputs, objectives, observers, &plan, None, &Unwatched).unwrap();
    assert!(outcome.completed);
    outcome.losses.iter().map(|objective| objective[0].iter().sum()).collect()
}

/// `Q(W) - W`.
fn change(weights: &[f32], cols: usize) -> Vec<f32> {
    let mut out = vec![0.0; weights.len()];
    let matrix = tomo_quant::Matrix::new(weights, cols, GROUP).unwrap();
    tomo_quant::find(FORMAT).unwrap().roundtrip(&matrix, &mut out).unwrap();
    out.iter_mut().zip(weights).for_each(|(q, w)| *q -= w);
    out
}

/// `sum_t g_t . dy_t` of every cell and objective.
struct Products(HashMap<usize, Vec<f64>>);

impl GradientObserver for Products {
    fn see(&mut self, seen: &CellGradients<'_>) {
        let change = change(seen.weights, seen.input.cols());
        let mut dy = vec![0.0; seen.output.len() * seen.output.cols()];
        seen.product(&change, &mut dy);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let products = seen
            .gradients
            .iter()
            .map(|g| g.iter().zip(dy.chunks_exact(seen.output.cols())).map(|(g, dy)| dot(g, dy)).sum());
        assert!(self.0.insert(seen.cell, products.collect()).is_none(), "one group");
    }
}

/// A copy of the model in float32, with `share` of the change in one cell.
fn changed(source: &Path, tensor: &str, cols: usize, share: f32, to: &Path) -> Arc<Model> {
    let bytes = std::fs::read(source.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        assert_eq!(view.dtype(), Dtype::BF16);
        let bits = view.data().as_chunks::<2>().0.iter().map(|b| u32::from(u16::from_le_bytes(*b)) << 16);
        let mut values: Vec<f32> = bits.map(f32::from_bits).collect();
        if name == tensor {
            let change = change(&values, cols);
            values.iter_mut().zip(change).for_each(|(w, d)| *w += share * d);
        }
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.push((name, view.shape().to_vec(), data));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, data)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    std::fs::write(to.join("model.safetensors"), serialize(views, None).unwrap()).unwrap();
    std::fs::copy(source.join("config.json"), to.join("config.json")).unwrap();
    open(to)
}

#[test]
fn draws_are_unbiased_and_so_is_what_they_stand_for() {
    let source = fixtures().join("parity/llama");
    let model = open(&source);
    let objectives = all_labels();
    let mut products = Products(HashMap::new());
    let surprise = reverse(&model, &objectives, &mut [&mut products]);
    for position in surprise.chunks_exact(LABELS) {
        assert!((position.iter().map(|s| (-s).exp()).sum::<f64>() - 1.0).abs() < 1e-5);
    }
    // Labels of different positions are independent and each score has mean zero: squares add up.
    let exact = |cell: usize| -> f64 {
        let of_position = |(surprise, products): (&[f64], &[f64])| {
            let mean = |of: &dyn Fn(f64) -> f64| -> f64 {
                surprise.iter().zip(products).map(|(s, a)| (-s).exp() * of(*a)).sum()
            };
            let square = mean(&|a| a * a);
            // At the first position queries and keys have no say, and both are rounding.
            assert!(mean(&|a| a).powi(2) < 1e-6 * square + 1e-12, "a score has mean zero");
            square
        };
        surprise.chunks_exact(LABELS).zip(products.0[&cell].chunks_exact(LABELS)).map(of_position).sum()
    };

    // As drawn by the engine, and averaged as the metric does.
    let options = Options { group: GROUP, draws: 600, ..Options::default() };
    let metric = select(&format!("predicted-kl-{FORMAT}")).unwrap();
    let mut gradients = Gradients::new(&model, &metric, &options, &[SEQUENCE.len()], &Objective::text());
    let drawn = gradients.objectives();
    reverse(&model, &drawn, &mut [&mut gradients]);
    let draws = gradients.draws(FORMAT).unwrap();
    assert_eq!((draws.cells().len(), draws.draws()), (model.cells().len(), 600));
    let per_token = 0.5 / 3.0;
    let mut squares_of_z = Vec::new();
    for cell in 0..model.cells().len() {
        let error = draws.of_set(&[cell]).standard_error.unwrap();
        squares_of_z.push(((draws.direct(cell) - per_token * exact(cell)) / error).powi(2));
    }
    // Draws are shared by the cells, so their errors go together; 4.5 standard errors in 21 cells is one in 10,000.
    let furthest = squares_of_z.iter().copied().fold(0.0, f64::max).sqrt();
    assert!(furthest < 4.5, "{furthest}: {squares_of_z:?}");

    // KL of the model changed by a share e either way: e^2 / 2 E[u^2] and fourth order.
    let folder = tempfile::tempdir().unwrap();
    let share = 0.5_f32;
    let mut largest = 0.0_f64;
    for (cell, shape) in model.cells().iter().enumerate() {
        let kl = |share: f32| -> f64 {
            let cols = usize::try_from(shape.in_features).unwrap();
            let other = changed(&source, &shape.tensor, cols, share, folder.path());
            let after = reverse(&other, &objectives, &mut []);
            surprise.iter().zip(after).map(|(before, after)| (-before).exp() * (after - before)).sum()
        };
        let curvature = 0.5 * (kl(share) + kl(-share)) / f64::from(share * share);
        let ratio = curvature / (0.5 * exact(cell));
        largest = largest.max((ratio - 1.0).abs());
        assert!((ratio - 1.0).abs() < 0.05, "{}: {ratio}", shape.tensor);
    }
    assert!(largest > 0.0);
}
