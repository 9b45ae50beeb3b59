//! The reference figure: a level for every cell, and the checks that a map shows it under some metric.
//!
//! v is high in layers 0 to 15 and paler from 18 on, o likewise, q and k are low, up and down between, gate is lowest up to
//! layer 15. A level has a slow wave along depth, as real models have, that never leaves the range a fact names.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};
use tomo_map::{CellId, Component, Map};

use super::Outcome;
use super::reading::{along, range, within};
use crate::cells::LAYERS;

/// Last layer of the early part and first of the late part; the two layers between lie halfway.
const EARLY_LAST: u32 = 15;
const LATE_FIRST: u32 = 18;

/// The level of a cell, between 0.12 and 0.16.
pub(super) fn level(id: CellId) -> f64 {
    let layer = id.layer;
    match id.component {
        AttnQ => 0.1255 + wave(layer, 0.002),
        AttnK => 0.127 - wave(layer, 0.002),
        AttnV => two_levels(layer, 0.155, 0.146, 0.003),
        AttnO => two_levels(layer, 0.1545, 0.1355, 0.003),
        MlpUp => 0.1365 + wave(layer, 0.0025),
        MlpDown => 0.1345 - wave(layer, 0.0025),
        MlpGate => two_levels(layer, 0.1215, 0.1335, 0.001),
    }
}

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

/// Whether a column lies in one range up to layer 15 and in another from 18 on.
pub(super) fn step(
    map: &Map,
    metric: &str,
    component: Component,
    early: (f64, f64),
    late: (f64, f64),
) -> Result<Outcome, String> {
    let first = along(map, metric, component, 0..=EARLY_LAST)?;
    let last = along(map, metric, component, LATE_FIRST..LAYERS)?;
    let recovered = within(&first, early.0, early.1) && within(&last, late.0, late.1);
    let ((a, b), (c, d)) = (range(&first), range(&last));
    let evidence =
        format!("{metric} {a:.4} to {b:.4} in layers 0-{EARLY_LAST}, {c:.4} to {d:.4} in layers {LATE_FIRST}-27");
    Ok(Outcome { recovered, evidence })
}

/// Whether two columns lie in one range in every layer.
pub(super) fn flat(
    map: &Map,
    metric: &str,
    components: [Component; 2],
    low: f64,
    high: f64,
) -> Result<Outcome, String> {
    let mut recovered = true;
    let mut evidence = Vec::new();
    for component in components {
        let values = along(map, metric, component, 0..LAYERS)?;
        let (least, most) = range(&values);
        recovered &= within(&values, low, high);
        evidence.push(format!("{component} {least:.4} to {most:.4}"));
    }
    Ok(Outcome { recovered, evidence: format!("{metric} of {}", evidence.join(", ")) })
}

/// Whether gate is the lowest column of layers 0 to 15, at 0.12 to 0.13, and lies at 0.13 to 0.14 from 18 on.
pub(super) fn gate(map: &Map, metric: &str) -> Result<Outcome, String> {
    let gate = along(map, metric, MlpGate, 0..LAYERS)?;
    let mut lowest = vec![true; gate.len()];
    for component in Component::ALL.into_iter().filter(|c| *c != MlpGate) {
        let others = along(map, metric, component, 0..LAYERS)?;
        lowest.iter_mut().zip(&gate).zip(&others).for_each(|((flag, gate), other)| *flag &= gate < other);
    }
    let (early, late) = (&gate[..=EARLY_LAST as usize], &gate[LATE_FIRST as usize..]);
    let rows = lowest.iter().take(early.len()).filter(|l| **l).count();
    let recovered = rows == early.len() && within(early, 0.12, 0.13) && within(late, 0.13, 0.14);
    let ((a, b), (c, d)) = (range(early), range(late));
    let evidence = format!(
        "{metric} {a:.4} to {b:.4} and lowest of its row in {rows} of the {} layers 0-15, {c:.4} to {d:.4} in layers 18-27",
        early.len()
    );
    Ok(Outcome { recovered, evidence })
}
