//! `measured.json` and `measured.csv`: what every change did to every sequence, kept beside the map.

use std::io::Write;

use serde_json::{Value, json};
use tomo_map::CellId;
use tomo_metrics::{Measured, MeasuredCell, MeasuredVariant};

use crate::kept_file;

/// Schema of `measured.json`.
pub const SCHEMA: &str = "tomograph.measured/1";

/// Writes `measured.json`: per metric the cells that were measured and, by sequence and per predicted token, what the score is the
/// mean of (`value`), and of each change of the cell the divergence, the change of the loss and the share of tokens that keep
/// their most likely one. `null` where a cell did not get a sequence. A score is `sum of tokens times value over sum of tokens`; where
/// sequences are missing, see [`Measured`].
///
/// # Errors
/// When `out` fails.
pub fn write_json(
    measured: &[Measured],
    seed: u64,
    model_digest: &str,
    text_digest: &str,
    out: impl Write,
) -> std::io::Result<()> {
    let metrics = measured.iter().map(of_metric).collect();
    kept_file::write_json(SCHEMA, seed, (model_digest, text_digest), metrics, out)
}

fn of_metric(measured: &Measured) -> Value {
    json!({
        "metric": measured.metric,
        "tokens": measured.tokens,
        "nll_original": measured.nll_original,
        "order": measured.order,
        "panel": measured.panel.iter().map(place).collect::<Vec<Value>>(),
        "cells": measured.cells.iter().map(of_cell).collect::<Vec<Value>>(),
    })
}

fn place(id: &CellId) -> Value {
    json!({ "layer": id.layer, "component": id.component, "expert": id.expert })
}

fn of_cell(cell: &MeasuredCell) -> Value {
    let mut value = place(&cell.id);
    value["value"] = json!(cell.value);
    if let Some(r2) = cell.r2 {
        value["r2"] = json!(r2);
    }
    match &cell.same_as {
        Some(other) => value["same_as"] = place(other),
        None => value["variants"] = cell.variants.iter().map(of_variant).collect(),
    }
    value
}

fn of_variant(variant: &MeasuredVariant) -> Value {
    json!({ "edit": variant.edit, "kl": variant.kl, "nll": variant.nll, "top1": variant.top1 })
}

/// Writes `measured.csv`, tidy: `metric,layer,component,expert,edit,sequence,tokens,kl,nll,top1`; only what was measured.
///
/// # Errors
/// When `out` fails.
pub fn write_csv(measured: &[Measured], mut out: impl Write) -> std::io::Result<()> {
    writeln!(out, "metric,layer,component,expert,edit,sequence,tokens,kl,nll,top1")?;
    for Measured { metric, tokens, cells, .. } in measured {
        for MeasuredCell { id, variants, .. } in cells {
            let expert = id.expert.map_or_else(String::new, |e| e.to_string());
            for variant in variants {
                let all = variant.kl.iter().zip(&variant.nll).zip(&variant.top1).zip(tokens).enumerate();
                for (sequence, (((kl, nll), top1), tokens)) in all {
                    let (Some(kl), Some(nll), Some(top1)) = (kl, nll, top1) else { continue };
                    let (layer, component, edit) = (id.layer, id.component, &variant.edit);
                    writeln!(
                        out,
                        "{metric},{layer},{component},{expert},{edit},{sequence},{tokens},{kl},{nll},{top1}"
                    )?;
                }
            }
        }
    }
    out.flush()
}
