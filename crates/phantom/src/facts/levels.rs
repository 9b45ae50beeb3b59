//! The reference figure's levels, planted as the rms of the cells: five facts, one per group of columns.
//!
//! A level has a slow wave along depth, as real models have, that never leaves the range the fact names.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};
use tomo_map::{CellId, Component, Map};

use super::reading::{along, range, within};
use super::{Fact, Outcome, Plant};
use crate::cells::LAYERS;

/// Last layer of the early part and first of the late part; the two layers between lie halfway.
const EARLY_LAST: u32 = 15;
const LATE_FIRST: u32 = 18;

pub(super) const VALUE_HIGH: Fact = Fact {
    id: "value-high",
    sentence: "attn.v has an rms of 0.15 to 0.16 in layers 0-15 and is paler, 0.14 to 0.15, in layers 18-27",
    metrics: &["rms"],
    check: |map| step(map, AttnV, (0.15, 0.16), (0.14, 0.15)),
    plant: Plant::Rms(|id| (id.component == AttnV).then(|| two_levels(id.layer, 0.155, 0.146, 0.003))),
};

pub(super) const OUTPUT_STEP: Fact = Fact {
    id: "output-step",
    sentence: "attn.o has an rms of 0.15 to 0.16 in layers 0-15 and falls to 0.13 to 0.14 in layers 18-27",
    metrics: &["rms"],
    check: |map| step(map, AttnO, (0.15, 0.16), (0.13, 0.14)),
    plant: Plant::Rms(|id| (id.component == AttnO).then(|| two_levels(id.layer, 0.1545, 0.1355, 0.003))),
};

pub(super) const QUERY_KEY_LOW: Fact = Fact {
    id: "query-key-low",
    sentence: "attn.q and attn.k have an rms of 0.12 to 0.13 in every layer",
    metrics: &["rms"],
    check: |map| flat(map, [AttnQ, AttnK], 0.12, 0.13),
    plant: Plant::Rms(|id| match id.component {
        AttnQ => Some(0.1255 + wave(id.layer, 0.002)),
        AttnK => Some(0.127 - wave(id.layer, 0.002)),
        _ => None,
    }),
};

pub(super) const UP_DOWN_MIDDLE: Fact = Fact {
    id: "up-down-middle",
    sentence: "mlp.up and mlp.down have an rms of 0.13 to 0.14 in every layer",
    metrics: &["rms"],
    check: |map| flat(map, [MlpUp, MlpDown], 0.13, 0.14),
    plant: Plant::Rms(|id| match id.component {
        MlpUp => Some(0.1365 + wave(id.layer, 0.0025)),
        MlpDown => Some(0.1345 - wave(id.layer, 0.0025)),
        _ => None,
    }),
};

pub(super) const GATE_LOWEST: Fact = Fact {
    id: "gate-lowest",
    sentence: "mlp.gate has the lowest rms of its row, 0.12 to 0.13, in layers 0-15 and rises to 0.13 to 0.14 in 18-27",
    metrics: &["rms"],
    check: check_gate,
    plant: Plant::Rms(|id: CellId| (id.component == MlpGate).then(|| two_levels(id.layer, 0.1215, 0.1335, 0.001))),
};

/// Slow wave of amplitude `most` along depth.
fn wave(layer: u32, most: f64) -> f64 {
    most * (f64::from(layer) * 0.9).sin()
}

fn two_levels(layer: u32, early: f64, late: f64, most: f64) -> f64 {
    let level = match layer {
        0..=EARLY_LAST => early,
        LATE_FIRST.. => late,
        _ => f64::midpoint(early, late),
    };
    level + wave(layer, most)
}

fn step(map: &Map, component: Component, early: (f64, f64), late: (f64, f64)) -> Result<Outcome, String> {
    let first = along(map, "rms", component, 0..=EARLY_LAST)?;
    let last = along(map, "rms", component, LATE_FIRST..LAYERS)?;
    let recovered = within(&first, early.0, early.1) && within(&last, late.0, late.1);
    let ((a, b), (c, d)) = (range(&first), range(&last));
    let evidence = format!("rms {a:.4} to {b:.4} in layers 0-{EARLY_LAST}, {c:.4} to {d:.4} in layers {LATE_FIRST}-27");
    Ok(Outcome { recovered, evidence })
}

fn flat(map: &Map, components: [Component; 2], low: f64, high: f64) -> Result<Outcome, String> {
    let mut recovered = true;
    let mut evidence = Vec::new();
    for component in components {
        let values = along(map, "rms", component, 0..LAYERS)?;
        let (least, most) = range(&values);
        recovered &= within(&values, low, high);
        evidence.push(format!("{component} {least:.4} to {most:.4}"));
    }
    Ok(Outcome { recovered, evidence: format!("rms of {}", evidence.join(", ")) })
}

fn check_gate(map: &Map) -> Result<Outcome, String> {
    let gate = along(map, "rms", MlpGate, 0..LAYERS)?;
    let mut lowest = vec![true; gate.len()];
    for component in Component::ALL.into_iter().filter(|c| *c != MlpGate) {
        let others = along(map, "rms", component, 0..LAYERS)?;
        lowest.iter_mut().zip(&gate).zip(&others).for_each(|((flag, gate), other)| *flag &= gate < other);
    }
    let (early, late) = (&gate[..=EARLY_LAST as usize], &gate[LATE_FIRST as usize..]);
    let rows = lowest.iter().take(early.len()).filter(|l| **l).count();
    let recovered = rows == early.len() && within(early, 0.12, 0.13) && within(late, 0.13, 0.14);
    let ((a, b), (c, d)) = (range(early), range(late));
    let evidence = format!(
        "rms {a:.4} to {b:.4} and lowest of its row in {rows} of the {} layers 0-15, {c:.4} to {d:.4} in layers 18-27",
        early.len()
    );
    Ok(Outcome { recovered, evidence })
}
