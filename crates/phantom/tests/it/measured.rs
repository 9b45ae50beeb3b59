//! A map of a phantom measured from its file by the plainest means: the definitions written out over faer's SVD.
//! It shares nothing with the project's own metrics, which the phantom is there to calibrate.

use std::borrow::Cow;
use std::path::Path;

use half::bf16;
use safetensors::SafeTensors;
use tomo_map::{
    Additivity, Cell, CellId, Column, Component, Direction, Grid, Map, Meaning, MetricInfo, Scope, Score, Status,
};

struct Matrix {
    rows: usize,
    cols: usize,
    entries: Vec<f64>,
    sigma: Vec<f64>,
}

type Metric = (&'static str, fn(&Matrix) -> f64);

const METRICS: [Metric; 9] = [
    ("rms", |w| (power_mean(w, 2)).sqrt()),
    ("kurtosis", |w| power_mean(w, 4) / power_mean(w, 2).powi(2) - 3.0),
    ("stable-rank", |w| sum(&w.sigma, 2) / w.sigma[0].powi(2)),
    ("effective-rank", effective_rank),
    ("participation-ratio", |w| sum(&w.sigma, 2).powi(2) / sum(&w.sigma, 4)),
    ("outlier-share", outlier_share),
    ("mp-excess", mp_excess),
    ("pl-alpha", pl_alpha),
    ("err-int4", int4_error),
];

const SPECTRAL: [&str; 5] = ["stable-rank", "effective-rank", "participation-ratio", "mp-excess", "pl-alpha"];

/// The cells whose spectra a fact reads; to decompose all 196 of them for every seed would take a minute.
fn decomposed(id: CellId) -> bool {
    id.component == Component::AttnO || [14, 18, 24].contains(&id.layer)
}

fn sum(values: &[f64], power: i32) -> f64 {
    values.iter().map(|v| v.powi(power)).sum()
}

/// Mean of w^power; the phantom's cells have mean 0 by construction, which central moments of 2048 entries confirm.
fn power_mean(w: &Matrix, power: i32) -> f64 {
    sum(&w.entries, power) / w.entries.len() as f64
}

fn effective_rank(w: &Matrix) -> f64 {
    let total: f64 = w.sigma.iter().sum();
    (-w.sigma.iter().map(|s| s / total * (s / total).ln()).sum::<f64>()).exp()
}

fn outlier_share(w: &Matrix) -> f64 {
    let limit = 3.0 * power_mean(w, 2).sqrt();
    w.entries.iter().filter(|x| x.abs() > limit).count() as f64 / w.entries.len() as f64
}

fn mp_excess(w: &Matrix) -> f64 {
    let mut sizes: Vec<f64> = w.entries.iter().map(|x| x.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let sd = sizes[sizes.len() / 2] / 0.6745;
    let edge = sd * ((w.rows as f64).sqrt() + (w.cols as f64).sqrt());
    w.sigma.iter().filter(|s| **s > edge).count() as f64
}

/// Clauset's fit as WeightWatcher does it: the start with the smallest Kolmogorov-Smirnov distance.
fn pl_alpha(w: &Matrix) -> f64 {
    let mut d: Vec<f64> = w.sigma.iter().map(|s| s * s).filter(|l| *l > 1e-5).collect();
    d.sort_by(f64::total_cmp);
    let fit = |i: usize| {
        let n = (d.len() - i) as f64;
        let alpha = 1.0 + n / d[i..].iter().map(|x| (x / d[i]).ln()).sum::<f64>();
        let gap = |(k, x): (usize, &f64)| (1.0 - (x / d[i]).powf(1.0 - alpha) - k as f64 / n).abs();
        (d[i..].iter().enumerate().map(gap).fold(0.0, f64::max), alpha)
    };
    (0..d.len() - 2).map(fit).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1
}

/// Round to nearest, asymmetric, groups of 128 along a row.
fn int4_error(w: &Matrix) -> f64 {
    let mut lost = 0.0;
    for group in w.entries.chunks(w.cols).flat_map(|row| row.chunks(128)) {
        let (low, high) = group.iter().fold((0f64, 0f64), |(l, h), x| (l.min(*x), h.max(*x)));
        let step = (high - low) / 15.0;
        let zero = (-low / step).round();
        lost += group
            .iter()
            .map(|x| (((x / step).round() + zero).clamp(0.0, 15.0) - zero) * step - x)
            .map(|e| e * e)
            .sum::<f64>();
    }
    (lost / sum(&w.entries, 2)).sqrt()
}

fn read(tensors: &SafeTensors<'_>, name: &str, decompose: bool) -> Matrix {
    let view = tensors.tensor(name).unwrap();
    let [rows, cols] = view.shape().try_into().unwrap();
    let entries: Vec<f64> = view.data().chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f64()).collect();
    let matrix = faer::MatRef::from_row_major_slice(&entries, rows, cols);
    let sigma = if decompose { matrix.singular_values().unwrap() } else { Vec::new() };
    Matrix { rows, cols, entries, sigma }
}

/// A description of a metric made up for a test.
pub(crate) fn info(id: &'static str) -> MetricInfo {
    let text = Cow::Borrowed;
    MetricInfo {
        id: text(id),
        title: text(id),
        summary: text(""),
        unit: text("ratio"),
        family: text("weights"),
        meaning: Meaning::Structure,
        direction: Direction::Neutral,
        scope: Scope::Map,
        additivity: Additivity::Signed,
        middle: None,
        proxy: false,
        caveat: text(""),
    }
}

/// Every cell with its tensor's name, layer by layer.
pub(crate) fn tensor_names() -> impl Iterator<Item = (CellId, String)> {
    let modules = [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.up_proj",
        "mlp.down_proj",
        "mlp.gate_proj",
    ];
    (0..tomo_phantom::LAYERS).flat_map(move |layer| {
        Component::ALL.into_iter().zip(modules).map(move |(component, module)| {
            (CellId { layer, component, expert: None }, format!("model.layers.{layer}.{module}.weight"))
        })
    })
}

/// The map of the phantom in `dir`, with every metric that a fact reads.
pub(crate) fn map(dir: &Path) -> Map {
    // Threads cost more than they bring on matrices of 64 x 128.
    faer::set_global_parallelism(faer::Par::Seq);
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut grid = Grid { layers: tomo_phantom::LAYERS, ..Grid::default() };
    let mut columns = METRICS.map(|(id, _)| Column::new(info(id), Vec::new()));
    for (id, tensor) in tensor_names() {
        let matrix = read(&tensors, &tensor, decomposed(id));
        for (column, (name, metric)) in columns.iter_mut().zip(METRICS) {
            let spectral = SPECTRAL.contains(&name) && !decomposed(id);
            let skipped = || Score::missing(Status::NotMeasured, "no fact reads it");
            column.scores.push(if spectral { skipped() } else { Score::from_value(metric(&matrix)) });
        }
        let (out_features, in_features) = (matrix.rows as u64, matrix.cols as u64);
        grid.cells.push(Cell { id, out_features, in_features, tensor, dtype: "BF16".into() });
    }
    Map { grid, columns: columns.into(), ..Map::default() }
}
