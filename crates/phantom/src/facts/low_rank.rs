//! A cell of rank 4: singular values 1, 1, 1, 1 and a floor of 0.003 that stays above the rounding of bf16.

use tomo_map::{CellId, Component, Map};

use super::reading::{column_median, value};
use super::{Fact, Outcome, Plant};
use crate::cells::cell;
use crate::draw::from_spectrum;

const HERE: CellId = cell(5, Component::AttnO);
const RANK: usize = 4;
const FLOOR: f64 = 0.003;

pub(super) const FACT: Fact = Fact {
    id: "low-rank",
    sentence: "attn.o of layer 5 has rank 4 of 64: stable rank 4, effective rank far below its column",
    metrics: &["stable-rank", "effective-rank"],
    check,
    plant: Plant::Structure {
        here: |id| id == HERE,
        draw: |rng, rows, cols| {
            let sigma: Vec<f64> = (0..rows.min(cols)).map(|i| if i < RANK { 1.0 } else { FLOOR }).collect();
            from_spectrum(rng, rows, cols, &sigma)
        },
    },
};

fn check(map: &Map) -> Result<Outcome, String> {
    let stable = value(map, "stable-rank", HERE)?;
    let effective = value(map, "effective-rank", HERE)?;
    let usual = column_median(map, "effective-rank", HERE.component, HERE.layer)?;
    let recovered = (stable - RANK as f64).abs() < 0.1 && effective < usual / 4.0;
    let evidence = format!("{HERE}: stable rank {stable:.2}, effective rank {effective:.2}, column median {usual:.2}");
    Ok(Outcome { recovered, evidence })
}
