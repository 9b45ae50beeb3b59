//! Scans of small checkpoints that live in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tomo_checkpoint::{Config, DType, Error, Format, Source, TensorInfo};
use tomo_map::{Cell, CellId, Column, Component, Grid, Status};
use tomo_metrics::{Facts, Form, Options, Progress, Request, ScanError, cost, scan, select};
use tomo_model::change::Rank;
use tomo_model::{CellSource, Model, Storage};

use crate::support::{Weights, assert_close, metric, score_of};

/// Tensors in memory, counting what is read of them.
struct Memory {
    tensors: Vec<TensorInfo>,
    values: BTreeMap<String, Weights>,
    decoded: Arc<AtomicU64>,
}

impl Source for Memory {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn format(&self) -> Format {
        Format::Safetensors
    }

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn config(&self) -> &Config {
        &Config::Absent
    }

    fn decode(&self, name: &str, range: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        self.decoded.fetch_add(range.end - range.start, Ordering::Relaxed);
        out.copy_from_slice(&self.values[name].values[range.start as usize..range.end as usize]);
        Ok(())
    }

    fn digest(&self) -> Result<String, Error> {
        Ok(String::new())
    }
}

const SHAPES: [(Component, usize, usize); 4] =
    [(Component::AttnQ, 48, 48), (Component::AttnK, 16, 48), (Component::MlpUp, 96, 48), (Component::MlpDown, 48, 96)];

/// Three layers of four cells; `change` may spoil the weights of one.
fn model(change: impl Fn(CellId, &mut Weights)) -> (Model, BTreeMap<CellId, Weights>, Arc<AtomicU64>) {
    let decoded = Arc::new(AtomicU64::new(0));
    let mut source = Memory { tensors: Vec::new(), values: BTreeMap::new(), decoded: decoded.clone() };
    let (mut grid, mut cells, mut by_cell) = (Grid { layers: 3, ..Grid::default() }, Vec::new(), BTreeMap::new());
    for layer in 0..3 {
        for (component, rows, cols) in SHAPES {
            let id = CellId { layer, component, expert: None };
            let mut weights =
                Weights::gaussian(rows, cols, 0.1 * f64::from(layer + 1), u64::from(layer) * 10 + rows as u64);
            change(id, &mut weights);
            let (out_features, in_features) = (rows as u64, cols as u64);
            let tensor = format!("layers.{layer}.{component}.weight");
            let shape = vec![out_features, in_features];
            source.tensors.push(TensorInfo {
                name: tensor.clone(),
                dtype: DType::F32,
                shape,
                bytes: 4 * out_features * in_features,
            });
            grid.cells.push(Cell { id, out_features, in_features, tensor: tensor.clone(), dtype: "F32".to_owned() });
            cells.push(CellSource {
                id,
                tensor: tensor.clone(),
                storage: Storage::rows(0, out_features),
                out_features,
                in_features,
            });
            source.values.insert(tensor, weights.clone());
            by_cell.insert(id, weights);
        }
    }
    source.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    (Model::from_parts(Arc::new(source), "custom".to_owned(), grid, cells), by_cell, decoded)
}

/// Counts calls; cancels after `limit` cells.
struct Watch {
    started: AtomicUsize,
    done: AtomicUsize,
    bytes: AtomicU64,
    limit: usize,
}

impl Watch {
    fn until(limit: usize) -> Self {
        Self { started: AtomicUsize::new(0), done: AtomicUsize::new(0), bytes: AtomicU64::new(0), limit }
    }
}

impl Progress for Watch {
    fn start(&self, cells: usize, bytes: u64) {
        assert!(cells > 0 && bytes > 0);
        self.started.store(cells, Ordering::Relaxed);
    }

    fn cell_done(&self, _: CellId, bytes: u64) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.limit
    }
}

fn request(spec: &str, threads: usize) -> Request {
    Request { metrics: select(spec).unwrap(), threads: Some(threads), ..Request::default() }
}

fn run(model: &Model, request: &Request) -> Vec<Column> {
    scan(model, request, &Watch::until(usize::MAX)).unwrap()
}

#[test]
fn a_scan_scores_every_cell_as_it_would_be_alone() {
    let (model, weights, decoded) = model(|_, _| ());
    let watch = Watch::until(usize::MAX);
    let request = request("spectrum,spectrum@null", 2);
    let columns = scan(&model, &request, &watch).unwrap();
    assert_eq!(columns.len(), request.metrics.len());
    for (column, selected) in columns.iter().zip(&request.metrics) {
        assert_eq!(column.info.id, selected.id());
        assert_eq!(column.scores.len(), 12);
        for (score, cell) in column.scores.iter().zip(model.cells()) {
            let alone = score_of(selected.metric, &Facts::new(weights[&cell.id].matrix()));
            if selected.form == Form::Plain {
                assert_eq!(score, &alone, "{} {}", selected.id(), cell.id);
            } else {
                // Noise against noise; Spectrum's ratio jumps, the fitted exponent wanders.
                let limit =
                    if ["spectrum-snr@null", "pl-alpha@null"].contains(&selected.id().as_str()) { 3.0 } else { 0.2 };
                assert!(score.value().is_some_and(|v| v.abs() < limit), "{} {}: {score:?}", selected.id(), cell.id);
            }
        }
    }
    let numel: u64 = SHAPES.iter().map(|(_, r, c)| 3 * (r * c) as u64).sum();
    assert_eq!(decoded.load(Ordering::Relaxed), numel, "every cell is decoded once");
    assert_eq!((watch.started.into_inner(), watch.done.into_inner(), watch.bytes.into_inner()), (12, 12, 4 * numel));
}

/// A cell that is twice the noise scores about 1 relative to it.
#[test]
fn null_forms_are_relative_to_noise_of_the_same_size() {
    let spiked = CellId { layer: 1, component: Component::MlpUp, expert: None };
    let (model, weights, _) = model(|id, weights| {
        if id == spiked {
            for (at, value) in weights.values.iter_mut().enumerate() {
                *value += 0.2 * if (at / weights.cols + at % weights.cols) % 2 == 0 { 1.0 } else { -1.0 };
            }
        }
    });
    let columns = run(&model, &request("spectral-norm@null,stable-rank@null", 1));
    let at = model.cells().iter().position(|c| c.id == spiked).unwrap();
    let cell = &weights[&spiked];
    let rms = (cell.values.iter().map(|x| f64::from(x * x)).sum::<f64>() / cell.values.len() as f64).sqrt();
    // The edge of a random 96 x 48 matrix, less what finite size takes off.
    let edge = rms * (96_f64.sqrt() + 48_f64.sqrt());
    let expected = cell.value("spectral-norm") / edge - 1.0;
    assert!(expected > 1.0);
    assert_close(columns[0].scores[at].value().unwrap(), expected, 0.1);
    assert!(columns[1].scores[at].value().unwrap() < -0.5);
}

#[test]
fn the_same_request_gives_the_same_bits_and_threads_change_nothing_that_counts() {
    let (model, ..) = model(|_, _| ());
    let once = run(&model, &request("spectrum,spectrum@null", 2));
    assert_eq!(once, run(&model, &request("spectrum,spectrum@null", 2)));
    let frugal = Request { memory_bytes: Some(1), ..request("spectrum,spectrum@null", 3) };
    for other in [run(&model, &request("spectrum,spectrum@null", 1)), run(&model, &frugal)] {
        for (a, b) in once.iter().zip(&other) {
            for (a, b) in a.scores.iter().zip(&b.scores) {
                assert!((a.value().unwrap() - b.value().unwrap()).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn a_cancelled_scan_keeps_what_it_has() {
    let (model, ..) = model(|_, _| ());
    let columns = scan(&model, &request("stable-rank,pl-alpha-hill", 1), &Watch::until(5)).unwrap();
    for column in &columns {
        let count = |status| column.scores.iter().filter(|s| s.status() == status).count();
        assert_eq!((count(Status::Ok), count(Status::NotMeasured)), (5, 7));
        let missing = column.scores.iter().find(|s| s.value().is_none()).unwrap();
        assert!(missing.reason().unwrap().contains("cancelled"));
    }
}

#[test]
fn weights_that_are_not_finite_are_named_and_the_scan_goes_on() {
    let (nan, infinite) = (
        CellId { layer: 0, component: Component::AttnK, expert: None },
        CellId { layer: 2, component: Component::MlpDown, expert: None },
    );
    let (model, ..) = model(|id, weights| {
        if id == nan {
            weights.values[3 * 48 + 7] = f32::NAN;
        } else if id == infinite {
            weights.values[47 * 96 + 95] = f32::NEG_INFINITY;
        }
    });
    for column in run(&model, &request("all,spectrum@null", 2)) {
        for (score, cell) in column.scores.iter().zip(model.cells()) {
            let place = match cell.id {
                id if id == nan => "row 3, column 7 of this cell in tensor \"layers.0.attn.k.weight\" is NaN",
                id if id == infinite => "row 47, column 95 of this cell in tensor \"layers.2.mlp.down.weight\" is -inf",
                _ => {
                    assert_eq!(score.status(), Status::Ok, "{} {}", column.info.id, cell.id);
                    continue;
                }
            };
            assert_eq!((score.status(), score.reason()), (Status::Undefined, Some(place)));
        }
    }
}

#[test]
fn a_cell_that_cannot_be_read_ends_the_scan_with_its_name() {
    let (model, ..) = model(|_, _| ());
    let mut cells = model.cells().to_vec();
    cells[4].tensor = "absent".to_owned();
    let empty = Memory { tensors: Vec::new(), values: BTreeMap::new(), decoded: Arc::default() };
    let broken = Model::from_parts(Arc::new(empty), "custom".to_owned(), model.grid().clone(), cells);
    // No bytes in an empty source: the watch that insists on some is not used here.
    struct Quiet;
    impl Progress for Quiet {
        fn start(&self, _: usize, _: u64) {}
        fn cell_done(&self, _: CellId, _: u64) {}
        fn is_cancelled(&self) -> bool {
            false
        }
    }
    let error = scan(&broken, &request("stable-rank", 1), &Quiet).unwrap_err();
    assert!(matches!(error, ScanError::Cell { .. }), "{error}");
    assert!(error.to_string().contains("cannot read L"), "{error}");
}

#[test]
fn baselines_outlive_a_scan() {
    let directory = tempfile::tempdir().unwrap();
    let cached = Request { cache_dir: Some(directory.path().join("new")), ..request("stable-rank@null", 2) };
    let (model, ..) = model(|_, _| ());
    let first = run(&model, &cached);
    let files = std::fs::read_dir(directory.path().join("new")).unwrap().count();
    assert_eq!(files, 3, "48x48, 48x16 and 96x48, the last for both orientations");
    assert_eq!(first, run(&model, &cached));
    assert_eq!(first, run(&model, &request("stable-rank@null", 2)), "the cache changes no bit");
    assert!(first[0].info.caveat.contains("random matrices"));
}

#[test]
fn cost_counts_bytes_and_grows_with_the_work() {
    let (model, ..) = model(|_, _| ());
    let all = cost(&model, &request("spectrum", 1));
    let numel: u64 = SHAPES.iter().map(|(_, r, c)| 3 * (r * c) as u64).sum();
    assert_eq!(all.bytes_read, 4 * numel);
    assert!(all.peak_bytes >= 8 * 96 * 48 && all.peak_bytes < 64 << 20, "{all:?}");
    assert!(all.seconds.is_finite() && all.seconds > 0.0);
    let two = cost(&model, &request("spectrum", 2));
    assert!(two.peak_bytes > all.peak_bytes, "two cells in flight");
}

/// The plain score is handed on, not computed again, and options reach the metrics.
#[test]
fn options_have_defaults() {
    let expected = Options {
        group: 128,
        seed: 0,
        outlier_factor: 5.0,
        resamples: 2000,
        draws: 16,
        steps: 5,
        noise_levels: vec![0.05, 0.1, 0.15, 0.2],
        noise_seeds: 2,
        rank: Rank::Share(0.5),
        exact: false,
        subspace_rank: 16,
    };
    assert_eq!(Options::default(), expected);
    assert_eq!(metric("pl-alpha").info.family, "spectrum");
}
