//! What an adapter is: said by `inspect`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use tomo_checkpoint::AdapterFiles;
use tomo_map::Component;
use tomo_model::{Adapter, Change, Changes, FactorSource};
use tomo_render::escape::plain;

use crate::cli::numbers::count;

/// Prints what the adapter in `files` is, without reading its weights.
pub(super) fn inspect(files: &AdapterFiles, as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let adapter = Arc::new(Adapter::open(files)?);
    // Which cells it changes may depend on the base; everything else can be said without.
    let changes = adapter.alone();
    let digest = files.source.digest()?;
    if as_json {
        let changes = changes.as_ref().map(on_grid).unwrap_or_else(|e| json!({ "reason": e.to_string() }));
        writeln!(out, "{}", serde_json::to_string_pretty(&about(&adapter, &digest, changes))?)?;
        return Ok(());
    }
    print(&adapter, &digest, out)?;
    match changes {
        Ok(changes) => print_changes(&changes, out)?,
        Err(error) => writeln!(out, "\n  cells    {}", plain(&error.to_string().replace('\n', "; "), 400))?,
    }
    Ok(())
}

fn print(adapter: &Adapter, digest: &str, out: &mut dyn Write) -> io::Result<()> {
    let (config, source) = (adapter.config(), adapter.source());
    let kind = if config.dora { "LoRA adapter with magnitudes (DoRA)" } else { "LoRA adapter" };
    writeln!(out, "{}", plain(&source.path().display().to_string(), 200))?;
    writeln!(out, "  kind     {kind}, {} tensors", count(source.tensors().len() as u64))?;
    writeln!(out, "  base     {}", config.base.as_deref().map_or("not stated".into(), |b| plain(b, 200)))?;
    writeln!(out, "  digest   {digest}")?;
    let patterns = if config.has_patterns() { "; other modules by patterns" } else { "" };
    writeln!(out, "  rank     {}, alpha {}, scaling {}{patterns}", config.rank, config.alpha, rule(adapter))?;
    writeln!(out, "  targets  {}", plain(&config.targets, 300))?;
    writeln!(out, "  size     {} parameters", count(adapter.parameters()))
}

fn rule(adapter: &Adapter) -> &'static str {
    if adapter.config().rank_stabilised { "alpha / sqrt(rank)" } else { "alpha / rank" }
}

/// What one column of the grid holds.
#[derive(Default)]
struct Column {
    cells: u64,
    whole: u64,
    ranks: BTreeSet<u64>,
    scalings: Vec<f64>,
    shapes: BTreeSet<(u64, u64)>,
}

impl Column {
    fn add(&mut self, change: &Change, shape: (u64, u64)) {
        let factors: Option<&FactorSource> =
            if let Change::LowRank(place) = change { Some(place.as_ref()) } else { None };
        self.cells += 1;
        self.whole += u64::from(factors.is_none());
        self.ranks.extend(factors.map(FactorSource::rank));
        self.scalings.extend(factors.map(FactorSource::scaling));
        self.shapes.insert(shape);
    }
}

/// Four significant digits and no zeros behind them.
fn number(x: f64) -> String {
    let text = tomo_map::significant(x, 4);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn columns(changes: &Changes) -> BTreeMap<Component, Column> {
    let mut columns = BTreeMap::<Component, Column>::new();
    for (cell, change) in changes.grid().cells.iter().zip(changes.cells()).filter(|(_, c)| **c != Change::None) {
        columns.entry(cell.id.component).or_default().add(change, (cell.out_features, cell.in_features));
    }
    columns
}

/// What is beside the grid, counted by kind.
fn off_grid(changes: &Changes) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for tensor in changes.off_grid() {
        *counts.entry(tensor.what).or_default() += 1;
    }
    counts
}

fn print_changes(changes: &Changes, out: &mut dyn Write) -> io::Result<()> {
    let columns = columns(changes);
    let cells: u64 = columns.values().map(|c| c.cells).sum();
    let layers: BTreeSet<u32> = changes.grid().cells.iter().map(|c| c.id.layer).collect();
    writeln!(out, "  family   {}, by the names of its modules", plain(changes.family(), 60))?;
    writeln!(out, "  cells    {} in {} layers", count(cells), layers.len())?;
    writeln!(out, "\n  component    cells  rank        scaling        shape (out x in)")?;
    for component in Component::ALL {
        let Some(column) = columns.get(&component) else {
            writeln!(out, "  {component:<10}      -  not changed")?;
            continue;
        };
        let whole = if column.whole > 0 { format!("{} stored whole", column.whole) } else { String::new() };
        let ranks = column.ranks.iter().map(u64::to_string).chain((!whole.is_empty()).then_some(whole));
        let ranks = ranks.collect::<Vec<_>>().join(", ");
        let mut scalings = column.scalings.clone();
        scalings.sort_by(f64::total_cmp);
        scalings.dedup();
        let scalings = scalings.into_iter().map(number).collect::<Vec<_>>().join(", ");
        let shapes = column.shapes.iter().map(|(m, n)| format!("{m} x {n}")).collect::<Vec<_>>().join(", ");
        writeln!(out, "  {component:<10} {:>7}  {ranks:<10}  {scalings:<13}  {shapes}", count(column.cells))?;
    }
    let off_grid = off_grid(changes);
    if !off_grid.is_empty() {
        writeln!(out, "\n  not on the grid, and not scored:")?;
        for (what, tensors) in off_grid {
            let word = if tensors == 1 { "tensor" } else { "tensors" };
            writeln!(out, "    {what}: {} {word}", count(tensors))?;
        }
    }
    Ok(())
}

fn about(adapter: &Adapter, digest: &str, changes: Value) -> Value {
    let config = adapter.config();
    json!({
        "path": adapter.source().path().display().to_string(),
        "format": "peft-lora",
        "digest": digest,
        "base": config.base,
        "rank": config.rank,
        "alpha": config.alpha,
        "has_patterns": config.has_patterns(),
        "rank_stabilised": config.rank_stabilised,
        "dora": config.dora,
        "targets": config.targets,
        "tensors": adapter.source().tensors().len(),
        "parameters": adapter.parameters(),
        "changes": changes,
    })
}

fn on_grid(changes: &Changes) -> Value {
    let cell = |(cell, change): (&tomo_map::Cell, &Change)| {
        let factors = if let Change::LowRank(place) = change { Some(place.as_ref()) } else { None };
        json!({
            "layer": cell.id.layer, "component": cell.id.component, "expert": cell.id.expert,
            "out": cell.out_features, "in": cell.in_features,
            "rank": factors.map(FactorSource::rank),
            "alpha": factors.map(FactorSource::alpha),
            "scaling": factors.map(FactorSource::scaling),
        })
    };
    json!({
        "family": changes.family(),
        "cells": changes.grid().cells.iter().zip(changes.cells()).map(cell).collect::<Vec<_>>(),
        "not_on_the_grid": off_grid(changes),
    })
}
