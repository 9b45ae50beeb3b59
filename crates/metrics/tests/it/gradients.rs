//! Gradient metrics on reverse passes of the engine.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tomo_map::{Column, Status};
use tomo_metrics::{Gradients, IntegratedGradients, Options, Selected, select};
use tomo_model::Model;
use tomo_model::engine::{CellGradients, Engine, EngineOptions, GradientObserver, Input, Loss, Objective, Unwatched};

use crate::engine::{json, open, tokens};
use crate::taps::{fixtures, name};

fn lengths(sequences: &[Vec<u32>]) -> Vec<usize> {
    sequences.iter().map(Vec::len).collect()
}

fn inputs(sequences: &[Vec<u32>]) -> Vec<Input> {
    sequences.iter().cloned().map(Input::from).collect()
}

fn reverse(
    model: &Arc<Model>,
    inputs: &[Input],
    objectives: &[Objective],
    observers: &mut [&mut dyn GradientObserver],
) {
    let engine = Engine::new(model.clone(), model.architecture().unwrap(), EngineOptions::default()).unwrap();
    let lengths: Vec<usize> = inputs.iter().map(|input| input.tokens.len()).collect();
    let plan = engine.plan_reverse(&lengths, objectives.len(), 0).unwrap();
    assert!(engine.reverse(inputs, objectives, observers, &plan, None, &Unwatched).unwrap().completed);
}

fn values(column: &Column) -> Vec<f64> {
    column.scores.iter().map(|s| s.value().unwrap_or_else(|| panic!("{}: {:?}", column.info.id, s.reason()))).collect()
}

/// The real model against torch's autograd (`tools/reference/backward_real.py`); prints the worst deviation of every column.
#[test]
#[ignore = "needs SmolLM2; see CONTRIBUTING.md"]
fn smollm2_gradient_metrics() {
    let model = open(Path::new(&std::env::var("TOMOGRAPH_SMOLLM2").expect("TOMOGRAPH_SMOLLM2 names the GGUF file")));
    let golden = json(&fixtures().join("golden/smollm2-backward.json"));
    let sequences: Vec<Vec<u32>> =
        serde_json::from_value(json(&fixtures().join("golden/smollm2-tokens.json"))).unwrap();
    let labels: Vec<Vec<Vec<u32>>> =
        serde_json::from_value(json(&fixtures().join("golden/smollm2-labels.json"))).unwrap();
    let spec = "taylor,taylor-group,snip,fisher,gradient-norm,relative-gradient-norm,attribution-zero,attribution-mean,\
                attribution-resample,quant-taylor-int4,quant-taylor-int3,predicted-kl-int4,predicted-kl-int3,\
                predicted-kl-int2";
    let options = Options { group: 64, draws: labels.len(), ..Options::default() };
    let mut gradients =
        Gradients::new(&model, &select(spec).unwrap(), &options, &lengths(&sequences), &Objective::text());
    let mut objectives = gradients.objectives();
    assert_eq!(objectives.len(), 1 + labels.len());
    // The same draws as the reference's.
    for (objective, labels) in objectives[1..].iter_mut().zip(labels) {
        objective.loss = Loss::Labels(labels);
    }
    reverse(&model, &inputs(&sequences), &objectives, &mut [&mut gradients]);
    let cells: Vec<String> = (0..model.cells().len()).map(|cell| name(&model, cell)).collect();
    let listed = golden["cells"].as_array().unwrap().iter();
    let listed: Vec<String> = listed.map(|c| format!("L{}.{}", c["layer"], c["component"].as_str().unwrap())).collect();
    let places: Vec<usize> = cells.iter().map(|c| listed.iter().position(|known| known == c).unwrap()).collect();
    let expected = |column: &str| -> Vec<f64> {
        let column = golden["columns"][column].as_array().unwrap_or_else(|| panic!("no {column}"));
        places.iter().map(|at| column[*at].as_f64().unwrap()).collect()
    };
    let mut worst = BTreeMap::new();
    for format in ["int4", "int3", "int2"] {
        let draws = gradients.draws(format).unwrap();
        for s in 0..sequences.len() {
            let column = format!("predicted-kl-{format}:u:d=0:s={s}");
            let found: Vec<f64> = (0..cells.len()).map(|cell| draws.u(cell)[s]).collect();
            worst.insert(column.clone(), worst_of_largest(&found, &expected(&column)));
        }
        let direct: Vec<f64> = (0..cells.len()).map(|cell| draws.direct(cell)).collect();
        let column = format!("predicted-kl-{format}");
        worst.insert(column.clone(), worst_relative(&direct, &expected(&column)));
    }
    for column in gradients.finish() {
        let id = column.info.id.as_ref();
        if id.starts_with("predicted-kl") {
            continue;
        }
        assert!(column.scores.iter().all(|s| s.interval().is_some()), "{id}");
        let (found, expected) = (values(&column), expected(id));
        let signed = id.starts_with("attribution") || id == "taylor-group";
        let deviation = if signed { worst_of_largest(&found, &expected) } else { worst_relative(&found, &expected) };
        worst.insert(id.to_owned(), deviation);
    }
    for (id, deviation) in &worst {
        writeln!(std::io::stderr(), "{id:32} {deviation:.1e}").unwrap();
    }
    // Weights that were quantized before lie on a grid, and many fall between two codes of another: the reference rounds those
    // in float64, the format in float32, to either side; see the next test.
    let limit = |id: &str| if id.contains("int4") || id.contains("int3") { 3e-2 } else { 1e-4 };
    assert!(worst.iter().all(|(id, deviation)| *deviation < limit(id)), "{worst:?}");
}

/// Why int4 and int3 are not closer to the reference above.
#[test]
#[ignore = "needs SmolLM2; see CONTRIBUTING.md"]
fn smollm2_formats_leave_the_reference_at_ties_only() {
    let model = open(Path::new(&std::env::var("TOMOGRAPH_SMOLLM2").expect("TOMOGRAPH_SMOLLM2 names the GGUF file")));
    for (format, top) in [("int4", 15.0), ("int3", 7.0), ("int2", 3.0)] {
        let mut different = 0;
        for (cell, source) in model.cells().iter().enumerate() {
            let mut weights = Vec::new();
            model.load(cell, &mut weights).unwrap();
            different += only_ties_differ(&weights, source.in_features as usize, format, top);
        }
        writeln!(std::io::stderr(), "{format}: {different} weights fall to the other side").unwrap();
        assert_eq!(different > 0, format != "int2", "{format}: {different}");
    }
}

/// Asserts that a format, in groups of 64, rounds as its definition does in float64 wherever a weight is not halfway between
/// two codes; the number of weights at which it does not.
fn only_ties_differ(weights: &[f32], cols: usize, format: &str, top: f64) -> usize {
    let mut rounded = vec![0.0; weights.len()];
    let matrix = tomo_quant::Matrix::new(weights, cols, 64).unwrap();
    tomo_quant::find(format).unwrap().roundtrip(&matrix, &mut rounded).unwrap();
    let mut different = 0;
    for (row, rounded) in weights.chunks(cols).zip(rounded.chunks(cols)) {
        for (group, rounded) in row.chunks(64).zip(rounded.chunks(64)) {
            let low = group.iter().fold(0.0, |a: f64, w| a.min(f64::from(*w)));
            let high = group.iter().fold(0.0, |a: f64, w| a.max(f64::from(*w)));
            let step = if high > low { (high - low) / top } else { 1.0 };
            let zero = (-low / step).round_ties_even();
            for (w, found) in group.iter().zip(rounded) {
                let at = f64::from(*w) / step;
                let expected = ((at.round_ties_even() + zero).clamp(0.0, top) - zero) * step;
                if (f64::from(*found) - expected).abs() > 1e-5 * step {
                    // Either the weight is halfway, or the zero point is.
                    let halfway = |x: f64| ((x - x.floor()) - 0.5).abs() < 1e-5;
                    assert!(halfway(at) || halfway(-low / step), "{format}: {w} became {found}, not {expected}");
                    different += 1;
                }
            }
        }
    }
    different
}

fn worst_relative(found: &[f64], expected: &[f64]) -> f64 {
    found.iter().zip(expected).map(|(a, b)| ((a - b) / b).abs()).fold(0.0, nan_max)
}

/// Of signed numbers, which may be near zero: the largest difference over the largest number.
fn worst_of_largest(found: &[f64], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest).fold(0.0, nan_max)
}

/// The larger one; NaN wins.
fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Against torch in float64 (`tools/reference/ig.py`), which keeps the other sign.
#[test]
fn integrated_gradients_are_those_of_torch() {
    let golden = json(&fixtures().join("golden/ig.json"));
    for (case, expected) in golden["cases"].as_object().unwrap() {
        let model = open(&fixtures().join("parity").join(case));
        let sequences = tokens(case);
        for (steps, expected_scores) in expected["scores"].as_object().unwrap() {
            let options = Options { steps: steps.parse().unwrap(), ..Options::default() };
            let selected = select("ig").unwrap();
            let mut path =
                IntegratedGradients::new(&model, &selected, &options, &lengths(&sequences), &Objective::text());
            let (points, objective) = (path.inputs(&sequences), path.objective());
            reverse(&model, &points, &[objective], &mut [&mut path]);
            let column = path.finish().remove(0);
            let listed = expected["cells"].as_array().unwrap();
            let scored: usize = sequences.iter().map(|s| s.len() - 1).sum();
            let sum = |at: usize| -> f64 {
                expected_scores.as_array().unwrap().iter().map(|of| of[at].as_f64().unwrap()).sum()
            };
            let expected: Vec<f64> = (0..listed.len()).map(|at| -sum(at) / scored as f64).collect();
            let places = (0..model.cells().len()).map(|cell| {
                let name = name(&model, cell);
                listed.iter().position(|known| *known == name.as_str()).unwrap()
            });
            let expected: Vec<f64> = places.map(|at| expected[at]).collect();
            let worst = worst_of_largest(&values(&column), &expected);
            assert!(worst < 1e-5, "{case}, {steps} steps: {worst}");
        }
    }
}

fn all_of(model: &Arc<Model>, sequences: &[Vec<u32>], options: &Options, selected: &[Selected]) -> Vec<Column> {
    let mut gradients = Gradients::new(model, selected, options, &lengths(sequences), &Objective::text());
    let objectives = gradients.objectives();
    reverse(model, &inputs(sequences), &objectives, &mut [&mut gradients]);
    gradients.finish()
}

/// With one step, the path is its end.
#[test]
fn integrated_gradients_of_one_step_are_attribution_by_resampling() {
    let model = open(&fixtures().join("parity/llama"));
    let sequences = tokens("llama");
    let options = Options { steps: 1, ..Options::default() };
    let mut path =
        IntegratedGradients::new(&model, &select("ig").unwrap(), &options, &lengths(&sequences), &Objective::text());
    reverse(&model, &path.inputs(&sequences), &[path.objective()], &mut [&mut path]);
    let resample = all_of(&model, &sequences, &options, &select("attribution-resample").unwrap());
    assert_eq!(path.finish()[0].scores, resample[0].scores);
}

/// Every family: `sum_t g_t . (y_t - b) = <W, G>`, and what follows from it.
#[test]
fn products_of_outputs_are_products_of_weights() {
    struct Check(usize);
    impl GradientObserver for Check {
        fn see(&mut self, seen: &CellGradients<'_>) {
            let mut whole = vec![0.0; seen.weights.len()];
            seen.weight_gradient(0, &(0..seen.input.len()), false, &mut whole);
            let of_weights: f64 = seen.weights.iter().zip(&whole).map(|(w, g)| f64::from(*w) * f64::from(*g)).sum();
            let (mut of_outputs, mut size) = (0.0, 0.0);
            for (g, y) in seen.gradients[0].iter().zip(seen.output.iter()) {
                for (k, (g, y)) in g.iter().zip(y).enumerate() {
                    let y = f64::from(*y) - seen.bias.map_or(0.0, |b| f64::from(b[k]));
                    of_outputs += f64::from(*g) * y;
                    size += (f64::from(*g) * y).abs();
                }
            }
            assert!((of_weights - of_outputs).abs() <= 1e-5 * size, "{}: {of_weights} {of_outputs}", seen.id);
            self.0 += 1;
        }
    }
    for case in ["llama", "gpt2_hub", "mixtral_hub", "gemma2", "olmo2_bias"] {
        let model = open(&fixtures().join("parity").join(case));
        let sequences = tokens(case);
        let spec = select("taylor-group,attribution-zero").unwrap();
        let mut gradients =
            Gradients::new(&model, &spec, &Options::default(), &lengths(&sequences), &Objective::text());
        let mut check = Check(0);
        reverse(&model, &inputs(&sequences), &gradients.objectives(), &mut [&mut gradients, &mut check]);
        assert!(check.0 >= model.cells().len() / 2, "{case}");
    }
}

/// Of a mixture: every cell has a score or a reason, and experts have no counterpart in another sequence.
#[test]
fn experts_have_scores_or_reasons() {
    let model = open(&fixtures().join("parity/mixtral_hub"));
    let options = Options { draws: 3, ..Options::default() };
    let columns = all_of(&model, &tokens("mixtral_hub"), &options, &select("gradients").unwrap());
    assert_eq!(columns.len(), 25, "all but ig");
    for column in &columns {
        let id = column.info.id.as_ref();
        for (cell, score) in column.scores.iter().enumerate() {
            let of_expert = model.cells()[cell].id.expert.is_some();
            match score.status() {
                Status::Ok => assert!(!(of_expert && id == "attribution-resample"), "{id}"),
                Status::NotApplicable => assert!(of_expert && id == "attribution-resample", "{id}"),
                Status::Undefined => assert!(of_expert && score.reason().unwrap().contains("no token"), "{id}"),
                Status::NotMeasured => panic!("{id}: {score:?}"),
            }
        }
    }
    let snip = columns.iter().find(|column| column.info.id == "snip").unwrap();
    let sum: f64 = snip.scores.iter().filter_map(|score| score.value()).sum();
    assert!((sum - 1.0).abs() < 1e-12, "{sum}");
}
