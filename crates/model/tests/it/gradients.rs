//! Every parity fixture backward: gradients against torch's autograd through transformers (`tools/reference/backward.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tomo_model::engine::{
    Activations, CellGradients, Engine, EngineError, EngineOptions, GradientObserver, Input, Loss, Objective,
    ParameterGradient, Resume, ReverseOutcome, Unwatched,
};
use tomo_model::{Model, OpenOptions};

use crate::parity::{Reference, cases};
use crate::source::{Tensors, TestSource, fixtures, read_safetensors};

/// `||difference|| / ||tensor||`; 1e-4 is what is asked for.
const NORM: f64 = 1e-5;
/// Rounding, where the true gradient is zero.
const NOTHING: f64 = 1e-6;
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
    assert!(compared > 1800, "{compared}, the farthest {worst:?}");
}

/// Files of gradients have the tensors' own names and layouts: a checkpoint with gradients in place of values is cut into
/// cells and biases as the model itself is.
#[test]
fn gradients_of_every_tensor_are_those_of_torch() {
    let (mut compared, mut worst) = (0, (0.0, String::new()));
    for folder in backward_cases() {
        let gradients = read_safetensors(&folder.join("weights.backward.safetensors"));
        let sequence = Reference::read(&folder).sequences.swap_remove(0);
        let scale = 1.0 / (sequence.len() - 1) as f64;
        let mut recorder = Recorder::default();
        run(&engine(open(&folder), |_| ()), &[sequence], &[Objective::text()], &mut recorder);

        let mut tensors = read_safetensors(&folder.join("model.safetensors"));
        tensors.extend(gradients.clone());
        let config = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
        let of_torch = TestSource::new(tensors, tomo_checkpoint::Config::HuggingFace(config)).open().unwrap();
        let mut left: BTreeMap<&str, &Vec<f32>> = gradients.iter().map(|(n, (_, v))| (n.as_str(), v)).collect();
        let mut check = |name: &str, got: &[f32], expected: &[f32]| {
            let expected: Vec<f64> = expected.iter().map(|x| f64::from(*x)).collect();
            let off = distance(got, scale, &expected);
            compared += 1;
            // One expert with weight 1, whatever the router says: the true gradient is zero.
            if expected.iter().all(|x| x.abs() < NOTHING) && got.iter().all(|x| f64::from(x.abs()) < NOTHING) {
                return;
            }
            assert!(off < NORM, "{}: {name}: {off:e}", folder.display());
            if off > worst.0 {
                worst = (off, format!("{}: {name}", folder.display()));
            }
        };
        for (index, cell) in of_torch.cells().iter().enumerate() {
            let name = format!("0:L{}.{}{}", cell.id.layer, cell.id.component, of_expert(cell.id.expert));
            if gradients.contains_key(&cell.tensor) {
                left.remove(cell.tensor.as_str());
                let (rows, cols) = of_torch.cell_shape(index).unwrap();
                let mut expected = vec![f32::NAN; rows * cols];
                of_torch.load_into(index, &mut expected).unwrap();
                // An expert without tokens is not handed out.
                let got = recorder.tensors.get(&format!("{name}.weight_grad.0")).cloned();
                check(&name, &got.unwrap_or_else(|| vec![0.0; rows * cols]), &expected);
            }
            let bias = cell.tensor.strip_suffix("weight").map(|stem| format!("{stem}bias")).unwrap_or_default();
            if !gradients.contains_key(&bias) {
                continue;
            }
            left.remove(bias.as_str());
            let Some(g) = recorder.tensors.get(&format!("{name}.grad.0")) else { continue };
            let expected = of_torch.load_bias(index).unwrap().unwrap();
            let mut sums = vec![0.0_f64; expected.len()];
            for row in g.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += f64::from(*g));
            }
            let sums: Vec<f32> = sums.iter().map(|x| *x as f32).collect();
            // Softmax does not see what is added to all keys alike: where nothing rotates them it is zero but for rounding.
            let size: f64 = g.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let is_nothing = |x: &f32, factor: f64| f64::from(x.abs()) * factor < 1e-5 * size * scale;
            if name.ends_with("attn.k") && expected.iter().all(|x| is_nothing(x, 1.0)) {
                assert!(sums.iter().all(|x| is_nothing(x, scale)), "{}: {name}", folder.display());
                continue;
            }
            check(&format!("{name}.bias"), &sums, &expected);
        }
        for (name, expected) in left {
            let got = recorder.tensors.get(&format!("0:{name}"));
            let got = got.unwrap_or_else(|| panic!("{}: no gradient of {name}", folder.display()));
            check(name, got, expected);
        }
    }
    assert!(compared > 1000, "{compared}, the farthest {worst:?}");
}

#[test]
fn what_is_kept_streamed_or_on_disk_changes_no_bit() {
    for case in ["llama_llama3", "gemma2_caps", "mixtral_hub", "stablelm", "gpt_neox"] {
        let folder = fixtures().join("parity").join(case);
        let sequences = Reference::read(&folder).sequences;
        let objectives = [Objective::text(), drawn(3), drawn(4)];
        let with = |change: &dyn Fn(&mut EngineOptions)| {
            let engine = engine(open(&folder), |options| change(options));
            let mut recorder = Recorder::default();
            let outcome = run(&engine, &sequences, &objectives, &mut recorder);
            let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
            (recorder, outcome, engine.plan_reverse(&lengths, objectives.len(), 0).unwrap())
        };
        let (kept, losses, plan) = with(&|options| options.activations = Activations::Keep);
        assert!(plan.resident && plan.keeps_activations && !plan.inputs_on_disk, "{case}");
        assert!(kept.layers.is_sorted_by(|a, b| a > b) && kept.layers.len() > 1, "{:?}", kept.layers);
        let (again, same, plan) = with(&|options| options.activations = Activations::Recompute);
        assert!(plan.resident && !plan.keeps_activations, "{case}");
        assert!(again == kept && same == losses, "{case}: recomputed");
        let (again, same, plan) = with(&|options| options.streamed = true);
        assert!(!plan.resident && !plan.inputs_on_disk, "{case}");
        assert!(again == kept && same == losses, "{case}: streamed");
        // A byte less than memory would take.
        let (again, same, plan) = with(&|options| {
            (options.streamed, options.memory_bytes) = (true, Some(plan.bytes - 1));
        });
        assert!(plan.inputs_on_disk && plan.disk_bytes > 0, "{case}");
        assert!(again == kept && same == losses, "{case}: on disk");
    }
}

fn drawn(draw: u64) -> Objective {
    Objective { loss: Loss::Drawn { seed: 7, draw }, positions: None }
}

#[test]
fn a_draw_is_the_same_alone_and_among_others() {
    let folder = fixtures().join("parity/llama_llama3");
    let sequences = Reference::read(&folder).sequences;
    let engine = engine(open(&folder), |_| ());
    let (mut alone, mut among) = (Recorder::default(), Recorder::default());
    let one = run(&engine, &sequences, &[drawn(5)], &mut alone);
    let all = run(&engine, &sequences, &[drawn(0), Objective::text(), drawn(5)], &mut among);
    assert_eq!(one.losses[0], all.losses[2]);
    assert_ne!(all.losses[0], all.losses[2]);
    let name = "L1.attn.q.grad.0";
    assert_eq!(alone.tensors[&format!("0:{name}")], among.tensors[&format!("2:{name}")]);
}

/// Cancels after so many steps, as often as it is asked from then on.
struct Until(std::sync::atomic::AtomicUsize, usize);

impl tomo_model::engine::PassProgress for Until {
    fn start(&self, _steps: usize) {}
    fn step(&self, _layer: u32) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::SeqCst) >= self.1
    }
}

#[test]
fn a_pass_that_was_ended_goes_on_to_the_same_bits() {
    let folder = fixtures().join("parity/mixtral_hub");
    let sequences = Reference::read(&folder).sequences;
    let inputs: Vec<Input> = sequences.iter().cloned().map(Input::from).collect();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let objectives = [Objective::text(), drawn(0)];
    let engine = engine(open(&folder), |options| options.activations = Activations::Recompute);
    let plan = engine.plan_reverse(&lengths, 2, 0).unwrap();
    let mut whole = Recorder { saves: true, ..Recorder::default() };
    let expected = run(&engine, &sequences, &objectives, &mut whole);
    let steps = 2 * whole.layers.len() + 1;
    for stop in 1..steps {
        let scratch = tempfile::tempdir().unwrap();
        let resume = Resume { folder: scratch.path().join("pass"), key: "k".to_owned() };
        let mut first = Recorder { saves: true, ..Recorder::default() };
        let until = Until(0.into(), stop);
        let ended = engine.reverse(&inputs, &objectives, &mut [&mut first], &plan, Some(&resume), &until).unwrap();
        assert!(!ended.completed, "{stop}");
        // Another key: nothing of it is used.
        let other = Resume { key: "other".to_owned(), ..resume.clone() };
        for resume in [&resume, &other] {
            let mut second = Recorder { saves: true, ..Recorder::default() };
            let outcome =
                engine.reverse(&inputs, &objectives, &mut [&mut second], &plan, Some(resume), &Unwatched).unwrap();
            // Gradients of the norms of blocks that were done are in what was saved.
            assert_eq!(outcome, expected, "{stop}");
            assert!(second.tensors == whole.tensors && second.layers == whole.layers, "{stop}");
        }
    }
}

/// Saves, and takes nothing back.
struct Forgetful(Recorder);

impl GradientObserver for Forgetful {
    fn see(&mut self, seen: &CellGradients<'_>) {
        self.0.see(seen);
    }

    fn restore(&mut self, _saved: &[u8]) -> Result<(), EngineError> {
        Err(EngineError::Saved { reason: "forgotten".to_owned() })
    }
}

#[test]
fn an_observer_that_cannot_go_on_begins_anew_or_ends_the_pass() {
    let folder = fixtures().join("parity/llama_llama3");
    let sequences = Reference::read(&folder).sequences;
    let inputs: Vec<Input> = sequences.iter().cloned().map(Input::from).collect();
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let engine = engine(open(&folder), |options| options.activations = Activations::Recompute);
    let plan = engine.plan_reverse(&lengths, 1, 0).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let resume = Resume { folder: scratch.path().join("pass"), key: "k".to_owned() };
    let objectives = [Objective::text()];
    let fresh = || (Recorder { saves: true, ..Recorder::default() }, Forgetful(Recorder::default()));
    // Both have saved: one block of those that there are has run backward.
    let layers = engine.architecture().layers.len();
    let (mut first, mut second) = fresh();
    let until = Until(0.into(), layers + 2);
    engine.reverse(&inputs, &objectives, &mut [&mut first, &mut second], &plan, Some(&resume), &until).unwrap();
    let (mut first, mut second) = fresh();
    let ended = engine.reverse(&inputs, &objectives, &mut [&mut first, &mut second], &plan, Some(&resume), &Unwatched);
    assert!(matches!(ended, Err(EngineError::Saved { .. })));
    let (mut first, mut second) = fresh();
    let mut observers: [&mut dyn GradientObserver; 2] = [&mut second, &mut first];
    let outcome = engine.reverse(&inputs, &objectives, &mut observers, &plan, Some(&resume), &Unwatched).unwrap();
    assert!(outcome.completed && second.0.layers.is_empty());
    assert_eq!(first.layers.len(), layers);
}

#[test]
fn the_divergence_from_a_changed_model_is_that_of_torch() {
    let mut compared = 0;
    for folder in backward_cases() {
        let reference = Reference::read_file(&folder, "backward.safetensors");
        let forward = Reference::read(&folder);
        let Some(changed) = reference.tensors.keys().find(|n| n.starts_with("kl.weight.")) else { continue };
        let model = open(&folder);
        let id = changed.trim_start_matches("kl.weight.");
        let named =
            |c: &tomo_model::CellSource| format!("L{}.{}{}", c.id.layer, c.id.component, of_expert(c.id.expert)) == id;
        let cell = model.cells().iter().find(|c| named(c)).unwrap().clone();
        let mut tensors = read_safetensors(&folder.join("model.safetensors"));
        let (shape, values) = tensors.get_mut(&cell.tensor).unwrap();
        if *shape != [cell.out_features, cell.in_features] {
            continue;
        }
        *values = reference.tensors[changed].iter().map(|x| *x as f32).collect();
        let config = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
        let source = TestSource::new(tensors, tomo_checkpoint::Config::HuggingFace(config));
        let engine = engine(source.open().unwrap(), |_| ());
        let sequence = forward.sequences[0].clone();
        let states: Vec<f32> = forward.tensors["hidden.0"].iter().map(|x| *x as f32).collect();
        let objective = Objective { loss: Loss::Divergence(vec![states].into()), positions: None };
        let mut recorder = Recorder::default();
        run(&engine, std::slice::from_ref(&sequence), &[objective], &mut recorder);
        for (name, expected) in &reference.tensors {
            let Some(plain) = name.strip_prefix("kl.").filter(|n| n.starts_with('L') && !n.contains("residual")) else {
                continue;
            };
            let off = distance(&recorder.tensors[&format!("0:{plain}")], 1.0 / (sequence.len() - 1) as f64, expected);
            assert!(off < NORM_OF_DIVERGENCE, "{}: {name}: {off:e}", folder.display());
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared}");
}

#[test]
fn objectives_that_do_not_fit_are_refused() {
    let folder = fixtures().join("parity/llama");
    let inputs = [Input::from(vec![1, 2, 3])];
    let engine = engine(open(&folder), |_| ());
    let plan = engine.plan_reverse(&[3], 1, 0).unwrap();
    let positions = |p: Vec<usize>| Objective { loss: Loss::Text, positions: Some(vec![p].into()) };
    let labels = |l: Vec<u32>| Objective { loss: Loss::Labels(vec![l]), positions: None };
    for wrong in [positions(vec![0]), positions(vec![3]), positions(vec![2, 1]), labels(vec![1]), labels(vec![1, 999])]
    {
        let mut recorder = Recorder::default();
        let refused =
            engine.reverse(&inputs, std::slice::from_ref(&wrong), &mut [&mut recorder], &plan, None, &Unwatched);
        assert!(matches!(refused, Err(EngineError::Objective { objective: 0, sequence: 0 })), "{wrong:?}");
    }
    assert!(engine.reverse(&inputs, &[], &mut [], &plan, None, &Unwatched).is_err());
}

/// The loss, in f64 from f32 logits, on both sides of the model along the gradient of one tensor: what is left beside the
/// gradient's own length is curvature and the rounding of logits.
#[test]
fn central_differences_along_a_gradient_are_its_length() {
    for (case, tensor) in [
        ("llama_llama3", "model.layers.0.self_attn.q_proj.weight"),
        ("llama_llama3", "model.layers.1.mlp.down_proj.weight"),
        ("llama_llama3", "model.norm.weight"),
        ("gemma2_caps", "model.layers.0.self_attn.k_proj.weight"),
        ("gemma2_caps", "model.layers.1.post_feedforward_layernorm.weight"),
        ("gpt2_reordered", "transformer.h.0.attn.c_attn.weight"),
        ("qwen3", "model.layers.0.self_attn.q_norm.weight"),
    ] {
        let folder = fixtures().join("parity").join(case);
        let sequence = Reference::read(&folder).sequences.swap_remove(0);
        let gradient = read_safetensors(&folder.join("weights.backward.safetensors"));
        let Some((_, gradient)) = gradient.get(tensor) else { panic!("{case} has no gradient of {tensor}") };
        let length: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let loss = |step: f64| {
            let mut tensors = read_safetensors(&folder.join("model.safetensors"));
            let (_, values) = tensors.get_mut(tensor).unwrap();
            values.iter_mut().zip(gradient).for_each(|(w, g)| *w += (step * f64::from(*g) / length) as f32);
            let config = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
            let source = TestSource::new(tensors, tomo_checkpoint::Config::HuggingFace(config));
            let outcome = run(
                &engine(source.open().unwrap(), |_| ()),
                std::slice::from_ref(&sequence),
                &[Objective::text()],
                &mut Recorder::default(),
            );
            outcome.losses[0][0].iter().sum::<f64>() / (sequence.len() - 1) as f64
        };
        let step = 3e-3;
        let slope = (loss(step) - loss(-step)) / (2.0 * step);
        assert!((slope / length - 1.0).abs() < 2e-3, "{case}: {tensor}: {slope} for {length}");
    }
}

/// Changes that leave the function alone leave gradients of untouched outputs alone, and `sum_t g_t . y_t` of every cell.
#[test]
fn gradients_see_the_function_and_not_how_it_is_written() {
    let folder = fixtures().join("parity/llama_llama3");
    let sequences = Reference::read(&folder).sequences;
    let config: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    let recorded = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = read_safetensors(&folder.join("model.safetensors"));
        change(&mut tensors);
        let source = TestSource::new(tensors, tomo_checkpoint::Config::HuggingFace(config.clone()));
        let mut recorder = Recorder::default();
        run(&engine(source.open().unwrap(), |_| ()), &sequences, &[Objective::text()], &mut recorder);
        recorder
    };
    let original = recorded(&|_| ());

    // The gain of the norm before attention, moved into q, k and v.
    let folded = recorded(&|tensors| {
        let (_, gain) = tensors.get_mut("model.layers.0.input_layernorm.weight").unwrap();
        let moved = std::mem::replace(gain, vec![1.0; gain.len()]);
        for cell in ["q", "k", "v"] {
            let (_, weights) = tensors.get_mut(&format!("model.layers.0.self_attn.{cell}_proj.weight")).unwrap();
            weights.chunks_exact_mut(moved.len()).for_each(|row| row.iter_mut().zip(&moved).for_each(|(w, g)| *w *= g));
        }
    });
    // Each neuron of the MLP times two and a half going in, divided by it going out.
    let scaled = recorded(&|tensors| {
        let scale = |at: usize| 2.5_f32.powi(at as i32 % 3 - 1);
        let (shape, up) = tensors.get_mut("model.layers.1.mlp.up_proj.weight").unwrap();
        let (rows, cols) = (shape[0] as usize, shape[1] as usize);
        up.chunks_exact_mut(cols).enumerate().for_each(|(at, row)| row.iter_mut().for_each(|w| *w *= scale(at)));
        if let Some((_, bias)) = tensors.get_mut("model.layers.1.mlp.up_proj.bias") {
            bias.iter_mut().enumerate().for_each(|(at, b)| *b *= scale(at));
        }
        let (_, down) = tensors.get_mut("model.layers.1.mlp.down_proj.weight").unwrap();
        down.chunks_exact_mut(rows).for_each(|row| row.iter_mut().enumerate().for_each(|(at, w)| *w /= scale(at)));
    });
    for (what, changed, touched) in [("gain", &folded, ""), ("neurons", &scaled, "L1.mlp.up")] {
        let mut compared = 0;
        for (name, g) in original.tensors.iter().filter(|(name, _)| name.contains(".grad.")) {
            if !touched.is_empty() && name.contains(touched) {
                assert!(distance(&changed.tensors[name], 1.0, &wide(g)) > 0.1, "{what}: {name} is as it was");
                continue;
            }
            let off = distance(&changed.tensors[name], 1.0, &wide(g));
            assert!(off < NORM, "{what}: {name}: {off:e}");
            compared += 1;
        }
        assert!(compared >= 26, "{compared}");
        for ((cell, was, _, size), (_, is, ..)) in original.products.iter().zip(&changed.products) {
            assert!((was - is).abs() <= NORM * size, "{what}: {cell}: {was} {is}");
        }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}
