//! `draws.json` and `draws.csv`: what every draw said of every cell, kept beside the map.

use std::io::Write;

use serde_json::{Value, json};
use tomo_metrics::Draws;

use crate::kept_file;

/// Schema of `draws.json`.
pub const SCHEMA: &str = "tomograph.draws/1";

/// The draws of one metric.
#[derive(Clone, PartialEq, Debug)]
pub struct KeptDraws {
    /// Id of the metric: `predicted-kl-int4`.
    pub metric: String,
    /// What was drawn.
    pub draws: Draws,
}

/// Writes `draws.json`: per metric the cells that were measured and of each u, `[draws, sequences]`. Predicted KL of any set of
/// cells, in nats per token, is `1/2 sum over d and s of (sum over cells of u_ds)^2 / draws / tokens`.
///
/// # Errors
/// When `out` fails.
pub fn write_json(
    kept: &[KeptDraws],
    seed: u64,
    model_digest: &str,
    text_digest: &str,
    out: impl Write,
) -> std::io::Result<()> {
    let metrics = kept.iter().map(of_metric).collect();
    kept_file::write_json(SCHEMA, seed, (model_digest, text_digest), metrics, out)
}

fn of_metric(kept: &KeptDraws) -> Value {
    let draws = &kept.draws;
    let of_cell = |(at, id): (usize, &tomo_map::CellId)| {
        let u: Vec<&[f64]> = draws.u(at).chunks_exact(draws.sequences()).collect();
        json!({ "layer": id.layer, "component": id.component, "expert": id.expert, "u": u })
    };
    json!({
        "metric": kept.metric,
        "tokens": draws.tokens(),
        "draws": draws.draws(),
        "sequences": draws.sequences(),
        "cells": draws.cells().iter().enumerate().map(of_cell).collect::<Vec<Value>>(),
    })
}

/// Writes `draws.csv`, tidy: `metric,layer,component,expert,draw,sequence,u`.
///
/// # Errors
/// When `out` fails.
pub fn write_csv(kept: &[KeptDraws], mut out: impl Write) -> std::io::Result<()> {
    writeln!(out, "metric,layer,component,expert,draw,sequence,u")?;
    for KeptDraws { metric, draws } in kept {
        for (at, id) in draws.cells().iter().enumerate() {
            let expert = id.expert.map_or_else(String::new, |e| e.to_string());
            for (draw, of_draw) in draws.u(at).chunks_exact(draws.sequences()).enumerate() {
                for (sequence, u) in of_draw.iter().enumerate() {
                    writeln!(out, "{metric},{},{},{expert},{draw},{sequence},{u}", id.layer, id.component)?;
                }
            }
        }
    }
    out.flush()
}
