//! The reference figure as the update density of a pair of checkpoints: planted as sizes of the weights, never as densities.
//!
//! The pair is one step of Adam apart, and a first step of Adam moves every weight by the learning rate. Stored in bf16, a
//! weight between 2^e and 2^(e+1) only changes if it is moved by more than half the distance of its neighbours there,
//! 2^(e-8): a step of 1e-5 changes what is below 2^-8 and nothing above. Of normal weights of size `rms` the share below T
//! is erf(T / (rms sqrt 2)), near to sqrt(2 / pi) T / rms: a level of the figure takes weights whose rms is its inverse.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};
use tomo_map::{CellId, Map, stats};

use super::figure::{flat, gate, level, step};
use super::reading::value;
use super::{Fact, Outcome, Plant};
use crate::cells;

/// rms times density: 0.14 of normal entries lie within 0.17637 standard deviations, and 2^-8 / 0.17637 x 0.14 is this.
const RMS_TIMES_DENSITY: f64 = 0.003_100_6;
/// Rank correlation with 1 / rms from which a density is said to follow it.
const FOLLOWS: f64 = 0.95;

/// The size of weights that makes bf16 draw the figure.
fn rms(id: CellId) -> f64 {
    RMS_TIMES_DENSITY / level(id)
}

pub(super) const VALUE_HIGH: Fact = Fact {
    id: "density-value-high",
    sentence: "attn.v has an update density of 0.15 to 0.16 in layers 0-15 and is paler, 0.14 to 0.15, in layers 18-27",
    metrics: &["update-density"],
    check: |map| step(map, "update-density", AttnV, (0.15, 0.16), (0.14, 0.15)),
    plant: Plant::Rms(|id| (id.component == AttnV).then(|| rms(id))),
};

pub(super) const OUTPUT_STEP: Fact = Fact {
    id: "density-output-step",
    sentence: "attn.o has an update density of 0.15 to 0.16 in layers 0-15 and falls to 0.13 to 0.14 in layers 18-27",
    metrics: &["update-density"],
    check: |map| step(map, "update-density", AttnO, (0.15, 0.16), (0.13, 0.14)),
    plant: Plant::Rms(|id| (id.component == AttnO).then(|| rms(id))),
};

pub(super) const QUERY_KEY_LOW: Fact = Fact {
    id: "density-query-key-low",
    sentence: "attn.q and attn.k have an update density of 0.12 to 0.13 in every layer",
    metrics: &["update-density"],
    check: |map| flat(map, "update-density", [AttnQ, AttnK], 0.12, 0.13),
    plant: Plant::Rms(|id| matches!(id.component, AttnQ | AttnK).then(|| rms(id))),
};

pub(super) const UP_DOWN_MIDDLE: Fact = Fact {
    id: "density-up-down-middle",
    sentence: "mlp.up and mlp.down have an update density of 0.13 to 0.14 in every layer",
    metrics: &["update-density"],
    check: |map| flat(map, "update-density", [MlpUp, MlpDown], 0.13, 0.14),
    plant: Plant::Rms(|id| matches!(id.component, MlpUp | MlpDown).then(|| rms(id))),
};

pub(super) const GATE_LOWEST: Fact = Fact {
    id: "density-gate-lowest",
    sentence: "mlp.gate has the lowest update density of its row, 0.12 to 0.13, in layers 0-15 and rises to 0.13 to 0.14 in 18-27",
    metrics: &["update-density"],
    check: |map| gate(map, "update-density"),
    plant: Plant::Rms(|id| (id.component == MlpGate).then(|| rms(id))),
};

pub(super) const FOLLOWS_SIZE: Fact = Fact {
    id: "density-follows-size",
    sentence: "every weight was moved by one step of one size, so the update density follows 1 / rms of the base and nothing else",
    metrics: &["update-density", "base-rms"],
    check: check_follows,
    plant: Plant::OneStep,
};

fn check_follows(map: &Map) -> Result<Outcome, String> {
    let read = |metric| cells::all().map(|id| value(map, metric, id)).collect::<Result<Vec<f64>, String>>();
    let (density, rms) = (read("update-density")?, read("base-rms")?);
    let sizes: Vec<f64> = rms.iter().map(|rms| 1.0 / rms).collect();
    let rho = rank_correlation(&density, &sizes);
    let evidence = format!("rank correlation of update-density with 1 / base-rms over {} cells: {rho:.4}", rms.len());
    Ok(Outcome { recovered: rho >= FOLLOWS, evidence })
}

/// Spearman's; of equal values it is NaN, which no comparison accepts.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let centred = |values: &[f64]| -> Vec<f64> {
        let middle = (values.len() as f64 + 1.0) / 2.0;
        stats::ranks(values).into_iter().map(|rank| rank - middle).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}
