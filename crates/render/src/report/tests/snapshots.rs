//! Whole reports, so that a reviewer reads the prose.

use tomo_map::{Column, Component, Direction, Grid, Map, MissingColumn, Scope, Score, Status};

use super::samples::{cell, dense, figure, info, provenance, wobble};
use crate::report::markdown;

#[test]
fn reference_figure() {
    insta::assert_snapshot!(markdown(&figure()));
}

#[test]
fn mixture_with_holes() {
    let (mut cells, mut scores) = (Vec::new(), Vec::new());
    for layer in 0..12 {
        for component in &Component::ALL[..6] {
            let experts = if component.index() < 4 { vec![None] } else { vec![Some(0), Some(1), Some(2)] };
            for expert in experts {
                cells.push(cell(layer, *component, expert));
                let value = 20.0 + 5.0 * wobble(layer, *component) + f64::from(expert.unwrap_or(0));
                scores.push(match (layer, component, expert) {
                    (11, _, _) => Score::missing(Status::NotMeasured, "the scan was stopped"),
                    (3, _, Some(1)) => Score::missing(Status::Undefined, "no token was routed to this expert"),
                    _ => Score::from_value(value),
                });
            }
        }
    }
    let mut snr = info("spectrum-snr", "Spectrum SNR");
    snr.scope = Scope::Column;
    snr.direction = Direction::Low;
    snr.proxy = true;
    let missing = vec![MissingColumn { component: Component::MlpGate, reason: "tiny-moe has an ungated MLP".into() }];
    let grid = Grid { layers: 12, cells, missing };
    let map = Map { provenance: provenance(), grid, columns: vec![Column::new(snr, scores)], ..Map::default() };
    insta::assert_snapshot!(markdown(&map));
}

#[test]
fn one_layer_and_two_metrics() {
    let flat = |_: u32, _: Component| Some(0.5);
    let some = |_: u32, c: Component| (c != Component::AttnO).then(|| 1.0 + c.index() as f64);
    insta::assert_snapshot!(markdown(&dense(1, &[(info("flat", "Flat"), &flat), (info("some", "Some"), &some)])));
}
