//! A cell whose eigenvalues follow a power law of known exponent: they are the quantiles of p(x) ~ x^-alpha.

use tomo_map::{CellId, Component, Map};

use super::reading::value;
use super::{Fact, Outcome, Plant};
use crate::cells::cell;
use crate::draw::from_spectrum;

const HERE: CellId = cell(18, Component::MlpGate);
const ALPHA: f64 = 2.5;

pub(super) const FACT: Fact = Fact {
    id: "power-law",
    sentence: "the eigenvalues of mlp.gate of layer 18 follow a power law of exponent 2.5",
    metrics: &["pl-alpha"],
    check,
    plant: Plant::Structure {
        here: |id| id == HERE,
        draw: |rng, rows, cols| {
            let count = rows.min(cols);
            // Singular value = sqrt of the eigenvalue at the middle of each of `count` equal shares of probability.
            let sigma: Vec<f64> =
                (0..count).map(|i| (1.0 - (i as f64 + 0.5) / count as f64).powf(-0.5 / (ALPHA - 1.0))).collect();
            from_spectrum(rng, rows, cols, &sigma)
        },
    },
};

fn check(map: &Map) -> Result<Outcome, String> {
    let alpha = value(map, "pl-alpha", HERE)?;
    Ok(Outcome {
        recovered: (alpha - ALPHA).abs() < 0.1,
        evidence: format!("{HERE}: exponent {alpha:.3}, {ALPHA} planted"),
    })
}
