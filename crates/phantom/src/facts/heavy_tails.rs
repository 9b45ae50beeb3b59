//! One layer whose entries are Laplace instead of Gaussian.

use tomo_map::{CellId, Component, Map};

use super::reading::{median, value};
use super::{Fact, Outcome, Plant};
use crate::cells::{LAYERS, cell};
use crate::draw::laplace;

const LAYER: u32 = 21;
/// Half the excess kurtosis of a Laplace distribution.
const HALF_LAPLACE: f64 = 1.5;

pub(super) const FACT: Fact = Fact {
    id: "heavy-tails",
    sentence: "all entries of layer 21 are heavy-tailed (Laplace, excess kurtosis 3) where other layers are Gaussian",
    metrics: &["kurtosis"],
    check,
    plant: Plant::Structure { here: |id: CellId| id.layer == LAYER, draw: laplace },
};

fn check(map: &Map) -> Result<Outcome, String> {
    // The median of a row: single cells elsewhere have outliers of their own.
    let row = |layer| {
        let values: Result<Vec<f64>, String> =
            Component::ALL.into_iter().map(|c| value(map, "kurtosis", cell(layer, c))).collect();
        values.map(median)
    };
    let here = row(LAYER)?;
    let mut elsewhere = f64::NEG_INFINITY;
    for layer in (0..LAYERS).filter(|l| *l != LAYER) {
        elsewhere = elsewhere.max(row(layer)?);
    }
    let recovered = here > HALF_LAPLACE && elsewhere < HALF_LAPLACE / 2.0;
    let evidence = format!("median kurtosis {here:.2} in layer {LAYER}, at most {elsewhere:.2} in any other");
    Ok(Outcome { recovered, evidence })
}
