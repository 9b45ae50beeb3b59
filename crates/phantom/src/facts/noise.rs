//! Cells of independent Gaussian entries, where a scan must find nothing.
//!
//! Their participation ratio has a known expectation: for independent entries of variance s^2,
//! E sum(lambda) = s^2 m n and E sum(lambda^2) = s^4 m n (m + n + 1), so (sum lambda)^2 / sum lambda^2 is about
//! m n / (m + n + 1).

use tomo_map::{CellId, Component, Map};

use super::reading::value;
use super::{Fact, Outcome, Plant};
use crate::cells::{cell, shape};
use crate::draw::from_spectrum;

const LAYER: u32 = 24;
const COMPONENTS: [Component; 3] = [Component::AttnQ, Component::MlpUp, Component::MlpDown];
/// The largest value of pure noise crosses the edge now and then, a second one hardly ever.
const STRAYS: f64 = 2.0;

pub(super) const FACT: Fact = Fact {
    id: "noise",
    sentence: "attn.q, mlp.up and mlp.down of layer 24 are pure noise: no tails, no directions, the rank of a random matrix",
    metrics: &["kurtosis", "mp-excess", "participation-ratio"],
    check,
    plant: Plant::Noise {
        here: |id: CellId| id.layer == LAYER && COMPONENTS.contains(&id.component),
        otherwise: |rng, rows, cols| {
            let sigma: Vec<f64> = (0..rows.min(cols)).map(|i| 1.0 / (1.0 + i as f64)).collect();
            from_spectrum(rng, rows, cols, &sigma)
        },
    },
};

fn check(map: &Map) -> Result<Outcome, String> {
    let mut recovered = true;
    let mut evidence = Vec::new();
    for component in COMPONENTS {
        let id = cell(LAYER, component);
        let (m, n) = shape(component);
        let expected = (m * n) as f64 / (m + n + 1) as f64;
        let kurtosis = value(map, "kurtosis", id)?;
        let excess = value(map, "mp-excess", id)?;
        let ratio = value(map, "participation-ratio", id)? / expected;
        recovered &= kurtosis.abs() < 0.4 && (0.0..=STRAYS).contains(&excess) && (ratio - 1.0).abs() < 0.1;
        evidence
            .push(format!("{component} kurtosis {kurtosis:.2}, {excess} above the edge, rank {ratio:.3} of random"));
    }
    Ok(Outcome { recovered, evidence: evidence.join("; ") })
}
