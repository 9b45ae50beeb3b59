//! Gradient metrics of made-up cells, handed to the observers without an engine.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;
use tomo_map::stats::Bootstrap;
use tomo_map::{Column, Status};
use tomo_metrics::{Gradients, Options, select};
use tomo_model::Model;
use tomo_model::engine::{CellGradients, GradientObserver, Loss, Objective, Rows, Span};

use crate::engine::{json, open};
use crate::support::assert_close;
use crate::taps::fixtures;

/// A cell on all tokens of all sequences.
#[derive(Clone, Default)]
struct Made {
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Of each objective.
    gradients: Vec<Vec<f32>>,
    inputs: usize,
}

impl Made {
    fn outputs(&self) -> usize {
        self.weights.len() / self.inputs
    }

    /// Shows sequences `group` of sequences of these lengths.
    fn show(&self, observer: &mut Gradients, model: &Model, cell: usize, lengths: &[usize], group: &[usize]) {
        let start = |sequence: usize| lengths[..sequence].iter().sum::<usize>();
        let (first, last) = (start(group[0]), start(group[group.len() - 1] + 1));
        let span = |s: &usize| Span { sequence: *s, rows: start(*s) - first..start(s + 1) - first };
        let spans: Vec<Span> = group.iter().map(span).collect();
        let rows = |values| Rows::dense(values, self.outputs()).slice(first, last - first);
        let gradients: Vec<Rows<'_>> = self.gradients.iter().map(|g| rows(g)).collect();
        observer.see(&CellGradients {
            cell,
            id: model.cells()[cell].id,
            weights: &self.weights,
            bias: self.bias.as_deref(),
            spans: &spans,
            input: Rows::dense(&self.input, self.inputs).slice(first, last - first),
            output: rows(&self.output),
            gradients: &gradients,
        });
    }
}

fn model() -> std::sync::Arc<Model> {
    open(&fixtures().join("parity/llama"))
}

/// Shows the cells group by group, as the first ones of the model, and ends all layers.
fn play(observer: &mut Gradients, model: &Model, cells: &[Made], lengths: &[usize], groups: &[&[usize]]) {
    for group in groups {
        for (at, cell) in cells.iter().enumerate().rev() {
            cell.show(observer, model, at, lengths, group);
        }
    }
    (0..model.grid().layers).rev().for_each(|layer| observer.layer_done(layer));
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn counts(value: &Value) -> Vec<usize> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The text with so many scored tokens in each sequence.
fn scoring(scored: &[usize]) -> Objective {
    Objective { loss: Loss::Text, positions: Some(scored.iter().map(|n| (1..=*n).collect()).collect()) }
}

/// Against numpy in float64 (`tools/reference/gradient_metrics.py`), in one group of sequences and in several.
#[test]
fn scores_are_those_of_numpy() {
    let golden = json(&fixtures().join("golden/gradients.json"));
    let (lengths, scored) = (counts(&golden["lengths"]), counts(&golden["scored"]));
    let input = numbers(&golden["inputs"]);
    let cells: Vec<Made> = golden["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| Made {
            weights: numbers(&cell["weights"]),
            bias: Some(numbers(&cell["bias"])),
            input: input.clone(),
            output: numbers(&cell["output"]),
            gradients: cell["gradients"].as_array().unwrap().iter().map(numbers).collect(),
            inputs: input.len() / lengths.iter().sum::<usize>(),
        })
        .collect();
    let model = model();
    let draws = golden["draws"].as_u64().unwrap() as usize;
    let options = Options { group: golden["group"].as_u64().unwrap() as usize, draws, ..Options::default() };
    let selected = select("gradients").unwrap();
    let bootstrap = Bootstrap::new(lengths.len(), options.resamples, options.seed);
    let tokens: Vec<f64> = scored.iter().map(|n| *n as f64).collect();
    let groupings: [&[&[usize]]; 3] = [&[&[0, 1, 2]], &[&[0], &[1], &[2]], &[&[0, 1], &[2]]];
    let mut columns: Vec<Vec<Column>> = Vec::new();
    for groups in groupings {
        let mut gradients = Gradients::new(&model, &selected, &options, &lengths, &scoring(&scored));
        assert_eq!(gradients.objectives().len(), 1 + draws);
        play(&mut gradients, &model, &cells, &lengths, groups);
        for (at, cell) in golden["cells"].as_array().unwrap().iter().enumerate() {
            check_draws(&gradients, at, &cell["scores"]);
        }
        columns.push(gradients.finish());
    }
    let mut checked = 0;
    for column in &columns[0] {
        let id = column.info.id.as_ref();
        for (at, cell) in golden["cells"].as_array().unwrap().iter().enumerate() {
            let (score, expected) = (&column.scores[at], &cell["scores"][id]);
            let Some(value) = expected["value"].as_f64() else { continue };
            // Sums of f32 products; signed ones cancel to a tenth of their terms at most.
            assert_close(score.value().unwrap_or_else(|| panic!("{id}: {:?}", score.reason())), value, 2e-6);
            let (low, high) = score.interval().unwrap();
            if let (Some(expected_low), Some(expected_high)) = (expected["low"].as_f64(), expected["high"].as_f64()) {
                assert_close(low, expected_low, 2e-5);
                assert_close(high, expected_high, 2e-5);
            } else if let Some(sums) = expected["sums"].as_array().filter(|_| id.starts_with("attribution")) {
                let sums: Vec<f64> = sums.iter().map(|v| v.as_f64().unwrap()).collect();
                let (expected_low, expected_high) = bootstrap.ratio(&sums, &tokens).unwrap();
                assert_close(low, expected_low, 1e-4);
                assert_close(high, expected_high, 1e-4);
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 2 * (9 + 8));
    // Groups change nothing but roundings.
    for other in &columns[1..] {
        for (a, b) in columns[0].iter().zip(other) {
            for (a, b) in a.scores.iter().zip(&b.scores).filter(|(a, _)| a.value().is_some()) {
                assert_close(b.value().unwrap(), a.value().unwrap(), 2e-6);
            }
        }
    }
}

fn check_draws(gradients: &Gradients, cell: usize, scores: &Value) {
    for format in ["int4", "int3", "int2", "nf4", "q4_0", "nvfp4", "mxfp4", "fp8"] {
        let (draws, expected) = (gradients.draws(format).unwrap(), &scores[format!("predicted-kl-{format}")]);
        assert_close(draws.direct(cell), expected["direct"].as_f64().unwrap(), 1e-5);
        let u: Vec<Vec<f64>> = serde_json::from_value(expected["u"].clone()).unwrap();
        let largest = u.concat().iter().fold(0.0, |a: f64, u| a.max(u.abs()));
        for (found, expected) in draws.u(cell).iter().zip(u.concat()) {
            assert!((found - expected).abs() < 1e-5 * largest, "{format}: {found} {expected}");
        }
    }
}

fn gaussian(count: usize, size: f64, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let draw = |_| {
        let x: f64 = StandardNormal.sample(rng);
        (size * x) as f32
    };
    (0..count).map(draw).collect()
}

/// Where the loss is linear in the output, first order is everything: the loss computed with the changed output.
#[test]
fn attributions_are_exact_for_linear_read_outs() {
    let (model, lengths, outputs) = (model(), [6, 3, 9], 5);
    let rows = lengths.iter().sum::<usize>();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let cell = Made {
        weights: gaussian(outputs * 4, 1.0, &mut rng),
        bias: Some(gaussian(outputs, 1.0, &mut rng)),
        input: gaussian(rows * 4, 1.0, &mut rng),
        output: gaussian(rows * outputs, 1.0, &mut rng),
        // The read-out: loss = sum c_tk y_tk.
        gradients: vec![gaussian(rows * outputs, 1.0, &mut rng)],
        inputs: 4,
    };
    let start = |s: usize| lengths[..s].iter().sum::<usize>();
    let scored: f64 = lengths.iter().map(|n| (n - 1) as f64).sum();
    let loss = |y: &dyn Fn(usize, usize, usize) -> f64| -> f64 {
        let mut sum = 0.0;
        for (s, length) in lengths.iter().enumerate() {
            for t in 0..*length {
                for k in 0..outputs {
                    sum += f64::from(cell.gradients[0][(start(s) + t) * outputs + k]) * y(s, t, k);
                }
            }
        }
        sum / scored
    };
    let own = |s: usize, t: usize, k: usize| f64::from(cell.output[(start(s) + t) * outputs + k]);
    let mean = |k: usize| (0..rows).map(|row| f64::from(cell.output[row * outputs + k])).sum::<f64>() / rows as f64;
    let next = |s: usize, t: usize, k: usize| {
        let other = (s + 1) % lengths.len();
        if t < lengths[other] { own(other, t, k) } else { own(s, t, k) }
    };
    let clean = loss(&own);
    let expected =
        [loss(&|_, _, _| 0.0) - clean, loss(&|_, _, k| mean(k)) - clean, loss(&|s, t, k| next(s, t, k)) - clean];
    let selected = select("attribution-zero,attribution-mean,attribution-resample").unwrap();
    let mut gradients = Gradients::new(&model, &selected, &Options::default(), &lengths, &Objective::text());
    play(&mut gradients, &model, std::slice::from_ref(&cell), &lengths, &[&[0], &[1, 2]]);
    for (column, expected) in gradients.finish().iter().zip(expected) {
        assert_close(column.scores[0].value().unwrap(), expected, 1e-12);
        assert_eq!(column.scores[1].status(), Status::NotMeasured);
    }
}

/// One text: sequences whose gradients are `drift` plus noise with a few wild columns.
fn noisy(drift: f32, side: usize, lengths: &[usize], rng: &mut ChaCha8Rng, weights: &[f32]) -> Made {
    let rows = lengths.iter().sum::<usize>();
    let mut input = gaussian(rows * side, 1.0, rng);
    for row in input.chunks_mut(side) {
        row[7] *= 30.0;
        row.iter_mut().for_each(|x| *x += 1.0);
    }
    let mut gradient = gaussian(rows * side, 1.0, rng);
    gradient.iter_mut().for_each(|g| *g += drift);
    Made { weights: weights.to_vec(), input, gradients: vec![gradient], inputs: side, ..Made::default() }
}

/// Intervals of norms hold the mean of the score over texts of the same size about as often as they say, in noise and out of
/// it; where the sample is smaller than the cell.
#[test]
fn jackknife_intervals_cover() {
    let (model, side, lengths, texts) = (model(), 64, [3; 8], 300);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let weights = gaussian(side * side, 1.0, &mut rng);
    let selected = select("taylor,gradient-norm").unwrap();
    for drift in [0.0, 0.7] {
        let scores: Vec<Vec<Column>> = (0..texts)
            .map(|text| {
                let mut cell = noisy(drift, side, &lengths, &mut rng, &weights);
                cell.output = vec![0.0; cell.gradients[0].len()];
                let options = Options { seed: text, ..Options::default() };
                let mut gradients = Gradients::new(&model, &selected, &options, &lengths, &Objective::text());
                play(&mut gradients, &model, &[cell], &lengths, &[&[0, 1, 2, 3], &[4, 5, 6, 7]]);
                gradients.finish()
            })
            .collect();
        for at in 0..selected.len() {
            let of = |text: &Vec<Column>| text[at].scores[0].clone();
            let mean = scores.iter().map(|text| of(text).value().unwrap()).sum::<f64>() / texts as f64;
            let intervals: Vec<(f64, f64)> = scores.iter().map(|text| of(text).interval().unwrap()).collect();
            let covered = intervals.iter().filter(|(low, high)| (*low..=*high).contains(&mean)).count();
            let share = covered as f64 / texts as f64;
            let width = intervals.iter().map(|(low, high)| (high / low).ln()).sum::<f64>() / texts as f64;
            assert!((0.9..=0.995).contains(&share) && width < 1.5, "{at}, drift {drift}: {share}, width {width}");
        }
    }
}

/// A text of one sequence has no partner and no interval; a text of which nothing is scored has no score.
#[test]
fn what_cannot_be_said_has_a_reason() {
    let model = model();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let cell = Made {
        output: gaussian(12, 1.0, &mut rng),
        weights: gaussian(6, 1.0, &mut rng),
        input: gaussian(8, 1.0, &mut rng),
        gradients: vec![gaussian(12, 1.0, &mut rng); 3],
        inputs: 2,
        ..Made::default()
    };
    let options = Options { draws: 2, ..Options::default() };
    let run = |text: &Objective| {
        let mut gradients = Gradients::new(&model, &select("gradients").unwrap(), &options, &[4], text);
        play(&mut gradients, &model, std::slice::from_ref(&cell), &[4], &[&[0]]);
        gradients.finish()
    };
    for column in run(&Objective::text()) {
        let (id, score) = (column.info.id.as_ref(), &column.scores[0]);
        if id == "attribution-resample" {
            assert_eq!(score.status(), Status::NotApplicable);
        } else {
            assert!(score.value().is_some(), "{id}: {score:?}");
            // Draws are something else than sequences.
            assert!(score.interval().is_none() || id.starts_with("predicted-kl"), "{id}: {score:?}");
        }
    }
    for column in run(&scoring(&[0])) {
        let score = &column.scores[0];
        assert!(score.value().is_none() && score.reason().is_some(), "{}: {score:?}", column.info.id);
    }
}

/// What was saved after some layers goes on to the same bits; anything else is refused.
#[test]
fn saved_sums_are_restored_to_the_bit() {
    let (model, lengths) = (model(), [4, 5]);
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let cells: Vec<Made> = (0..2)
        .map(|_| Made {
            weights: gaussian(12, 1.0, &mut rng),
            input: gaussian(36, 1.0, &mut rng),
            output: gaussian(27, 1.0, &mut rng),
            gradients: (0..4).map(|_| gaussian(27, 1.0, &mut rng)).collect(),
            inputs: 4,
            ..Made::default()
        })
        .collect();
    let options = Options { draws: 3, ..Options::default() };
    let new = |spec: &str| Gradients::new(&model, &select(spec).unwrap(), &options, &lengths, &Objective::text());
    let first_of_layer = |layer: u32| model.cells().iter().position(|c| c.id.layer == layer).unwrap();
    let (mut whole, mut resumed) = (new("gradients"), new("gradients"));
    let last = model.grid().layers - 1;
    cells[0].show(&mut whole, &model, first_of_layer(last), &lengths, &[0, 1]);
    whole.layer_done(last);
    // A layer that is under way leaves no trace.
    cells[1].show(&mut whole, &model, first_of_layer(0), &lengths, &[0]);
    let saved = whole.save();
    cells[1].show(&mut whole, &model, first_of_layer(0), &lengths, &[1]);
    resumed.restore(&saved).unwrap();
    assert_eq!(resumed.save(), saved);
    cells[1].show(&mut resumed, &model, first_of_layer(0), &lengths, &[0]);
    cells[1].show(&mut resumed, &model, first_of_layer(0), &lengths, &[1]);
    for layer in (0..last).rev() {
        whole.layer_done(layer);
        resumed.layer_done(layer);
    }
    assert_eq!(whole.save(), resumed.save());
    assert_eq!(whole.finish(), resumed.finish());
    assert!(new("taylor").restore(&saved).unwrap_err().to_string().contains("other metrics"));
    for end in 0..saved.len() {
        assert!(new("gradients").restore(&saved[..end]).is_err(), "{end}");
    }
    assert!(new("gradients").restore(&[saved.as_slice(), &[0]].concat()).is_err());
}
