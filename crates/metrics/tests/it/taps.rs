//! Plays back what transformers' own forward pass handed out, in place of the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use tomo_map::Component;
use tomo_model::engine::{CellWeights, Observer, Port, Rows, Seen, Tap};
use tomo_model::{Model, OpenOptions};

/// Sequence of the fixture, first row and row after the last: each part counts as a sequence.
pub(crate) type Part = (usize, usize, usize);

/// As in `tools/reference/activations.py`.
pub(crate) const PARTS: [Part; 5] = [(0, 0, 4), (0, 4, 8), (0, 8, 11), (1, 0, 3), (1, 3, 5)];

struct Tensor {
    cols: usize,
    values: Vec<f32>,
}

impl Tensor {
    fn rows(&self, which: impl Iterator<Item = usize>) -> Vec<f32> {
        which.flat_map(|t| &self.values[t * self.cols..][..self.cols]).copied().collect()
    }
}

/// One call of `see`.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) tap: Tap,
    pub(crate) layer: u32,
    pub(crate) expert: Option<u32>,
    pub(crate) sequence: usize,
    cols: usize,
    pub(crate) rows: Vec<f32>,
    against: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
}

impl Event {
    pub(crate) fn show(&self, observer: &impl Observer) {
        if !observer.wants(self.tap) {
            return;
        }
        observer.see(&Seen {
            tap: self.tap,
            layer: self.layer,
            expert: self.expert,
            sequence: self.sequence,
            rows: Rows::dense(&self.rows, self.cols),
            against: self.against.as_ref().map(|values| Rows::dense(values, self.cols)),
            bias: self.bias.as_deref(),
        });
    }
}

/// A case of `fixtures/parity`, cut into parts.
pub(crate) struct Played {
    pub(crate) model: Model,
    pub(crate) lengths: Vec<usize>,
    pub(crate) events: Vec<Event>,
    pub(crate) weights: Vec<Vec<f32>>,
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

impl Played {
    pub(crate) fn new(case: &str, parts: &[Part]) -> Self {
        let folder = fixtures().join("parity").join(case);
        let model = Model::open(tomo_checkpoint::open(&folder).unwrap(), &OpenOptions::default()).unwrap();
        let bytes = std::fs::read(folder.join("forward.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let values = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (name, Tensor { cols: view.shape().last().copied().unwrap_or(1), values })
        };
        let taps: BTreeMap<String, Tensor> = file.tensors().into_iter().map(tensor).collect();
        let weights: Vec<Vec<f32>> = (0..model.cells().len())
            .map(|cell| {
                let mut values = Vec::new();
                model.load(cell, &mut values).unwrap();
                values
            })
            .collect();
        let parallel = case == "stablelm_parallel";
        let mut events = Vec::new();
        for layer in 0..model.grid().layers {
            for (sequence, part) in parts.iter().enumerate() {
                let playing = Playing { taps: &taps, model: &model, weights: &weights, layer, sequence, part: *part };
                events.extend(playing.residual(parallel));
                events.extend(playing.cells());
            }
        }
        let lengths = parts.iter().map(|(_, first, last)| last - first).collect();
        Self { model, lengths, events, weights }
    }

    /// Shows everything in order, each layer's weights after its taps.
    pub(crate) fn play(&self, observer: &impl Observer) {
        for layer in 0..self.model.grid().layers {
            self.events.iter().filter(|event| event.layer == layer).for_each(|event| event.show(observer));
            self.weigh(observer, layer);
        }
    }

    pub(crate) fn weigh(&self, observer: &impl Observer, layer: u32) {
        if !observer.wants_weights() {
            return;
        }
        for (cell, source) in self.model.cells().iter().enumerate().filter(|(_, source)| source.id.layer == layer) {
            let cols = source.in_features as usize;
            observer.weigh(&CellWeights { cell, values: &self.weights[cell], cols });
        }
    }
}

struct Playing<'a> {
    taps: &'a BTreeMap<String, Tensor>,
    model: &'a Model,
    weights: &'a [Vec<f32>],
    layer: u32,
    sequence: usize,
    part: Part,
}

impl Playing<'_> {
    fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.taps.get(&format!("L{}.{name}.{}", self.layer, self.part.0))
    }

    fn event(&self, tap: Tap, expert: Option<u32>, cols: usize, rows: Vec<f32>) -> Event {
        let (layer, sequence) = (self.layer, self.sequence);
        Event { tap, layer, expert, sequence, cols, rows, against: None, bias: None }
    }

    fn residual(&self, parallel: bool) -> Vec<Event> {
        let rows = |name: &str| self.tensor(name).unwrap().rows(self.part.1..self.part.2);
        let cols = self.tensor("residual_in").unwrap().cols;
        let (before, attention) = (rows("residual_in"), rows("attention_add"));
        let after_attention: Vec<f32> = before.iter().zip(&attention).map(|(h, a)| h + a).collect();
        let mlp_against = if parallel { before.clone() } else { after_attention };
        let event = |tap, name, against: Option<&Vec<f32>>| Event {
            against: against.cloned(),
            ..self.event(tap, None, cols, rows(name))
        };
        vec![
            event(Tap::ResidualIn, "residual_in", None),
            event(Tap::AttentionAdd, "attention_add", Some(&before)),
            event(Tap::MlpAdd, "mlp_add", Some(&mlp_against)),
            event(Tap::ResidualOut, "residual_out", Some(&before)),
        ]
    }

    /// Tokens of the part that expert `e` gets: all of them without experts.
    fn tokens(&self, expert: Option<u32>, from: usize, to: usize) -> Vec<usize> {
        let Some(expert) = expert else { return (from..to).collect() };
        let router = self.tensor("router").unwrap();
        (from..to).filter(|t| router.values[t * router.cols + expert as usize] > 0.0).collect()
    }

    fn cells(&self) -> Vec<Event> {
        let (_, first, last) = self.part;
        let mut events = Vec::new();
        let mut seen_ports = Vec::new();
        for (cell, source) in self.model.cells().iter().enumerate().filter(|(_, s)| s.id.layer == self.layer) {
            let (component, expert) = (source.id.component, source.id.expert);
            let tokens = self.tokens(expert, first, last);
            if tokens.is_empty() {
                continue;
            }
            // An expert's own tensors hold its tokens only, one after the other.
            let before = self.tokens(expert, 0, first).len();
            let own = before..before + tokens.len();
            let at = expert.map_or(String::new(), |e| format!("[{e}]"));
            let port = Port::of(component);
            let (name, rows) = match port {
                Port::Attention => ("attn.in".to_owned(), tokens),
                Port::AttentionOut => ("attn.o.in".to_owned(), tokens),
                Port::Mlp => ("mlp.in".to_owned(), tokens),
                Port::MlpDown => (format!("mlp.down{at}.in"), own.clone().collect()),
            };
            let input = self.tensor(&name).unwrap();
            let x = input.rows(rows.into_iter());
            if !seen_ports.contains(&(port, expert)) {
                seen_ports.push((port, expert));
                events.push(self.event(Tap::Input(port), expert, input.cols, x.clone()));
            }
            let output = self.tensor(&format!("{component}{at}.out")).unwrap();
            let y = output.rows(own);
            let bias = bias(&self.weights[cell], &x[..input.cols], &y[..output.cols]);
            let tap = Tap::Output(component);
            events.push(Event { bias: Some(bias), ..self.event(tap, expert, output.cols, y) });
        }
        events
    }
}

/// `y - W x` of one token: other tokens tell whether that was the bias.
fn bias(w: &[f32], x: &[f32], y: &[f32]) -> Vec<f32> {
    let product = |row: &[f32]| row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>();
    w.chunks_exact(x.len()).zip(y).map(|(row, y)| (f64::from(*y) - product(row)) as f32).collect()
}

/// The cell's name in the fixtures.
pub(crate) fn name(model: &Model, cell: usize) -> String {
    let id = model.cells()[cell].id;
    let component: Component = id.component;
    format!("L{}.{component}{}", id.layer, id.expert.map_or(String::new(), |e| format!("[{e}]")))
}
