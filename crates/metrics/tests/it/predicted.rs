//! Statistics of predicted KL: on numbers with known expectation, and on SmolLM2's draws beside the KL that was measured.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::SafeTensors;
use tomo_map::stats::{median, ranks};
use tomo_map::{CellId, Component};
use tomo_metrics::{Draws, DrawsError, Prediction, most_nats};

const LAYERS: u32 = 30;

fn cells(layers: u32) -> Vec<CellId> {
    let of = |layer| Component::ALL.into_iter().map(move |component| CellId { layer, component, expert: None });
    (0..layers).flat_map(of).collect()
}

/// Draws of cells whose KL is known: u is Gaussian, v is its mean over `curve(cell)`, with a tenth of the noise of u^2.
struct Planted {
    nats: Vec<f64>,
    draws: Draws,
}

fn planted(count: usize, scatter: f64, seed: u64) -> Planted {
    const SEQUENCES: usize = 4;
    const TOKENS: usize = 400;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let (mut nats, mut u, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for id in cells(LAYERS) {
        let own = 0.005 * normal().exp();
        let smooth = 0.3 * f64::from(id.layer) / f64::from(LAYERS) + 0.1 * (id.component as u8 as f64);
        let factor = (smooth + scatter * normal()).exp();
        nats.push(own);
        for _ in 0..count {
            for sequence in 0..SEQUENCES {
                let variance = 2.0 * own * TOKENS as f64 * [0.1, 0.2, 0.3, 0.4][sequence];
                u.push(variance.sqrt() * normal());
                v.push(variance / factor * (0.14 * normal()).exp());
            }
        }
    }
    let draws = Draws::new(cells(LAYERS), count, SEQUENCES, TOKENS, u, Some(v)).unwrap();
    Planted { nats, draws }
}

fn rms(errors: impl Iterator<Item = f64>) -> f64 {
    let errors: Vec<f64> = errors.collect();
    (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt()
}

fn coverage(prediction: &Prediction, truth: &[f64], level: f64) -> f64 {
    let holds = |(p, truth): (&tomo_metrics::PredictedKl, &f64)| {
        let (low, high) = p.interval(level).unwrap();
        assert!(0.0 < low && low < p.nats && p.nats < high);
        f64::from(u8::from(low <= *truth && *truth <= high))
    };
    prediction.cells.iter().zip(truth).map(holds).sum::<f64>() / truth.len() as f64
}

#[test]
fn control_takes_off_most_of_the_noise() {
    let Planted { nats, draws } = planted(16, 0.05, 1);
    let prediction = draws.predict();
    let error = |of: fn(&tomo_metrics::PredictedKl) -> f64| {
        rms(prediction.cells.iter().zip(&nats).map(|(p, truth)| (of(p) / truth).ln()))
    };
    // sqrt(2 (.01 + .04 + .09 + .16) / 16) = .194 of the plain mean; a curve through 30 cells leaves .05 of scatter, its own
    // noise of .194 sqrt(3 / 30), and .14 / 8 of v.
    let (direct, best) = (error(|p| p.direct), error(|p| p.nats));
    assert!((0.16..0.24).contains(&direct), "{direct}");
    assert!(best < 0.11, "{best}");
    let bias = prediction.cells.iter().zip(&nats).map(|(p, truth)| (p.nats / truth).ln()).sum::<f64>() / 210.0;
    assert!(bias.abs() < 0.03, "{bias}");
    assert_eq!(prediction.controls.len(), 7);
    let share = coverage(&prediction, &nats, 0.9);
    assert!((0.85..=1.0).contains(&share), "{share}");
}

#[test]
fn intervals_hold_where_cells_scatter_around_the_curve() {
    let mut shares = Vec::new();
    for seed in 0..8 {
        let Planted { nats, draws } = planted(12, 0.4, 10 + seed);
        let prediction = draws.predict();
        assert!(prediction.controls.iter().all(|c| (0.2..0.7).contains(&c.spread)), "{:?}", prediction.controls);
        shares.push(coverage(&prediction, &nats, 0.9));
    }
    let share = shares.iter().sum::<f64>() / shares.len() as f64;
    assert!((0.86..0.96).contains(&share), "{shares:?}");
}

#[test]
fn many_draws_win_over_the_curve() {
    let Planted { draws, .. } = planted(2000, 0.4, 3);
    for cell in draws.predict().cells {
        assert!(cell.own_weight > 0.98, "{cell:?}");
        assert!((cell.nats / cell.direct - 1.0).abs() < 0.01, "{cell:?}");
    }
}

#[test]
fn sets_and_pairs_by_hand() {
    let ids = cells(1)[..3].to_vec();
    // Three cells, two draws of two sequences, 5 predicted tokens.
    let u = vec![1.0, 2.0, 3.0, 4.0, -1.0, 0.5, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let draws = Draws::new(ids, 2, 2, 5, u, None).unwrap();
    assert_eq!(draws.direct(0), 0.5 * 30.0 / 2.0 / 5.0);
    assert_eq!(draws.by_sequence(0), [0.5 * (1.0 + 9.0) / 2.0, 0.5 * (4.0 + 16.0) / 2.0]);
    assert_eq!(draws.interaction(0, 1), (-1.0 + 1.0 + 6.0 + 4.0) / 2.0 / 5.0);
    assert!((draws.interaction(1, 1) - 2.0 * draws.direct(1)).abs() < 1e-15);
    // Sums 0, 2.5, 5, 5: halves of squares over 5 are 0, .625, 2.5, 2.5; per draw .625 and 5.
    let set = draws.of_set(&[0, 1]);
    assert!((set.nats - 2.8125).abs() < 1e-15);
    // By sequence: variances of (0, 2.5) and (.625, 2.5), 3.125 and 1.7578125, over 2 draws.
    assert!((set.standard_error.unwrap() - ((3.125_f64 + 1.757_812_5) / 2.0).sqrt()).abs() < 1e-12);
    assert_eq!(draws.of_set(&[]).nats, 0.0);
    // A cell that the change leaves alone.
    let still = draws.predict().cells[2];
    assert_eq!((still.nats, still.interval(0.9)), (0.0, Some((0.0, 0.0))));
}

#[test]
fn without_control_the_plain_mean_and_its_noise() {
    let Planted { draws: with, nats } = planted(16, 0.0, 5);
    let u: Vec<f64> = (0..210).flat_map(|cell| with.u(cell).to_vec()).collect();
    let draws = Draws::new(cells(LAYERS), 16, 4, 400, u, None).unwrap();
    let prediction = draws.predict();
    assert!(prediction.controls.is_empty());
    assert!(prediction.cells.iter().all(|p| p.nats == p.direct && p.own_weight == 1.0));
    let share = coverage(&prediction, &nats, 0.9);
    assert!((0.8..0.97).contains(&share), "{share}");
}

#[test]
fn few_cells_draws_and_layers() {
    // One draw: a value, no interval. One layer: a curve of one term.
    let Planted { draws, .. } = planted(1, 0.0, 6);
    assert!(draws.predict().cells.iter().all(|p| p.nats > 0.0 && p.interval(0.9).is_none()));
    for layers in [1, 2, 3] {
        let ids = cells(layers);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let u: Vec<f64> = (0..ids.len() * 6).map(|_| rng.random_range(-1.0..1.0)).collect();
        let v: Vec<f64> = u.iter().map(|u| u * u).collect();
        let prediction = Draws::new(ids, 3, 2, 10, u, Some(v)).unwrap().predict();
        assert!(prediction.cells.iter().all(|p| p.nats.is_finite() && p.interval(0.95).is_some()));
        // The control is the thing itself: nothing to correct but the bias of the logarithm, which has no noise to come from.
        assert!(prediction.cells.iter().all(|p| (p.nats / p.direct - 1.0).abs() < 1e-9), "{prediction:?}");
    }
}

#[test]
fn experts_share_the_curve_of_their_component() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let id = |layer, expert| CellId { layer, component: Component::MlpUp, expert: Some(expert) };
    let ids: Vec<CellId> = (0..6).flat_map(|layer| (0..16).map(move |expert| id(layer, expert))).collect();
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let u: Vec<f64> = (0..ids.len() * 16).map(|_| normal()).collect();
    let draws = Draws::new(ids, 8, 2, 10, u, Some(vec![0.5; 96 * 16])).unwrap();
    let prediction = draws.predict();
    assert_eq!((prediction.controls.len(), prediction.controls[0].cells), (1, 96));
    // 1/2 of two sequences' variance of 1 over 10 tokens, twice what the control says.
    assert!((prediction.controls[0].factor / 2.0).ln().abs() < 0.05, "{:?}", prediction.controls);
    assert!(rms(prediction.cells.iter().map(|p| (p.nats / 0.1).ln())) < 0.1);
}

#[test]
fn what_is_too_large_says_so() {
    let size = |component, nats: f64| {
        let u = (2.0 * nats * 10.0_f64).sqrt();
        let id = CellId { layer: 0, component, expert: None };
        Draws::new(vec![id], 2, 1, 10, vec![u, -u], None).unwrap().predict().cells[0]
    };
    for component in Component::ALL {
        let small = size(component, 0.01);
        assert!((small.nats - 0.01).abs() < 1e-15 && small.score().reason().is_none());
        let large = size(component, 2.0 * most_nats(component)).score();
        assert!(large.value().is_some() && large.reason().unwrap().contains("second-order"), "{large:?}");
    }
    // Queries and keys go through a softmax.
    assert!(size(Component::AttnK, 0.1).out_of_range().is_some());
    assert!(size(Component::AttnV, 0.1).out_of_range().is_none());
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let one = || cells(1)[..1].to_vec();
    assert_eq!(Draws::new(one(), 0, 1, 5, vec![], None), Err(DrawsError::Nothing));
    assert_eq!(Draws::new(one(), 1, 1, 0, vec![1.0], None), Err(DrawsError::Nothing));
    let length = Draws::new(one(), 2, 1, 5, vec![1.0], None);
    assert_eq!(length, Err(DrawsError::Length { what: "u", expected: 2, found: 1 }));
    for (u, v) in [(f64::NAN, 1.0), (1.0, -1.0), (1.0, f64::INFINITY)] {
        let refused = Draws::new(one(), 1, 1, 5, vec![u], Some(vec![v]));
        assert!(matches!(refused, Err(DrawsError::Number { .. })), "{u} {v}");
    }
}

/// fixtures/golden/smollm2-draws.safetensors, see tools/reference/draws_real.py.
fn real(format: &str, draws: usize) -> (Draws, Vec<f64>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden/smollm2-draws.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let singles = |name: &str| -> Vec<f64> {
        let tensor = file.tensor(&format!("{name}.{format}")).unwrap();
        assert_eq!(tensor.shape(), [210, 24, 4]);
        let all: Vec<f64> =
            tensor.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect();
        all.chunks_exact(24 * 4).flat_map(|cell| cell[..draws * 4].to_vec()).collect()
    };
    let kl = file.tensor(&format!("kl.{format}")).unwrap();
    let kl = kl.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
    (Draws::new(cells(30), draws, 4, 508, singles("u"), Some(singles("v"))).unwrap(), kl)
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() + 1) as f64 / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - middle) * (y - middle)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

/// How many of the `count` highest of `a` are among those of `b`.
fn top(a: &[f64], b: &[f64], count: usize) -> usize {
    let highest = |values: &[f64]| -> Vec<usize> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|i, j| values[*j].total_cmp(&values[*i]));
        order[..count].to_vec()
    };
    let of_b = highest(b);
    highest(a).into_iter().filter(|cell| of_b.contains(cell)).count()
}

#[test]
fn real_model_predictions_are_what_was_measured() {
    for (format, draws, rho, highest) in
        [("int3", 24, 0.98, 18), ("int4", 24, 0.985, 18), ("int3", 12, 0.97, 17), ("int4", 12, 0.97, 17)]
    {
        let (draws, measured) = real(format, draws);
        let prediction = draws.predict();
        let nats: Vec<f64> = prediction.cells.iter().map(|p| p.nats).collect();
        let found = spearman(&nats, &measured);
        let ratios: Vec<f64> = nats.iter().zip(&measured).map(|(p, m)| p / m).collect();
        let share = coverage(&prediction, &measured, 0.9);
        let line = format!(
            "{format}, {} draws: rho {found:.3}, {} of the top 21, median ratio {:.3}, rms {:.3}, covered {share:.3}",
            draws.draws(),
            top(&nats, &measured, 21),
            median(&ratios).unwrap(),
            rms(ratios.iter().map(|r| r.ln()))
        );
        assert!(found > rho && top(&nats, &measured, 21) >= highest, "{line}");
        assert!((0.95..=1.05).contains(&median(&ratios).unwrap()) && (0.8..=0.97).contains(&share), "{line}");
        let direct: Vec<f64> = prediction.cells.iter().map(|p| p.direct).collect();
        assert!(spearman(&direct, &measured) < found, "{line}");
        let out_of_range = prediction.cells.iter().filter(|p| p.out_of_range().is_some()).count();
        assert!(out_of_range <= 2, "{out_of_range}");
    }
}
