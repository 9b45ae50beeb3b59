use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use tomo_checkpoint::TensorInfo;
use tomo_map::Component;
use tomo_metrics::Cost;
use tomo_model::Model;

use super::model_args::{ModelArgs, open};
use super::{Context, Exit, inspect_adapter};
use crate::cli::numbers::{bytes, count, seconds};
use crate::scan;

/// Say what a model or an adapter is and what scanning it will cost, without reading its weights
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Metrics whose cost is wanted
    #[arg(long, value_name = "ID|FAMILY,…", default_value = "all")]
    metric: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let request = self.model.request(&self.metric, context)?;
        if let Some(files) = tomo_checkpoint::open_adapter(&request.path)? {
            inspect_adapter::inspect(&files, self.json, &mut context.streams.out)?;
            return Ok(Exit::Success);
        }
        let model = open(&request)?;
        let cost = scan::cost(&model, &request)?;
        let found = Findings::of(&model)?;
        let out = &mut context.streams.out;
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&found.json(&model, &cost))?)?;
        } else {
            found.print(&model, out)?;
            writeln!(
                out,
                "\nscan of {:?}: reads {}, about {} here, about {} of memory",
                self.metric,
                bytes(cost.bytes_read),
                seconds(cost.seconds),
                bytes(cost.peak_bytes)
            )?;
        }
        Ok(Exit::Success)
    }
}

/// One column of the grid: the cells a component has.
#[derive(Default)]
struct Column {
    cells: u64,
    weights: u64,
    bytes: u64,
    shapes: BTreeMap<(u64, u64), u64>,
    dtypes: BTreeMap<String, u64>,
}

/// Tensors of one kind that are no cells.
#[derive(Default)]
struct Group {
    tensors: u64,
    bytes: u64,
}

/// What is in a model, counted.
struct Findings {
    digest: String,
    columns: BTreeMap<Component, Column>,
    others: BTreeMap<&'static str, Group>,
}

impl Findings {
    fn of(model: &Model) -> anyhow::Result<Self> {
        let mut columns = BTreeMap::<Component, Column>::new();
        for (index, cell) in model.grid().cells.iter().enumerate() {
            let column = columns.entry(cell.id.component).or_default();
            column.cells += 1;
            column.weights += cell.numel();
            column.bytes += model.cell_bytes(index);
            *column.shapes.entry((cell.out_features, cell.in_features)).or_default() += 1;
            *column.dtypes.entry(cell.dtype.clone()).or_default() += 1;
        }
        let mut others = BTreeMap::<&'static str, Group>::new();
        for other in model.others() {
            let group = others.entry(other.role.name()).or_default();
            group.tensors += 1;
            group.bytes += other.tensor.bytes;
        }
        Ok(Self { digest: model.source().digest()?, columns, others })
    }

    fn print(&self, model: &Model, out: &mut dyn Write) -> io::Result<()> {
        let source = model.source();
        let family = model.entry().map_or("named by --cell", |f| f.title);
        writeln!(out, "{}", tomo_render::escape::plain(&source.path().display().to_string(), 200))?;
        writeln!(out, "  format   {}, {} tensors", source.format(), count(source.tensors().len() as u64))?;
        writeln!(out, "  family   {} ({family})", tomo_render::escape::plain(model.family(), 60))?;
        writeln!(out, "  digest   {}", self.digest)?;
        let dims: Vec<String> = model.dims().letters().iter().map(|(letter, n)| format!("{letter} {n}")).collect();
        write!(out, "  dims     {}", dims.join(", "))?;
        writeln!(out, "\n\n  component    cells      weights       bytes  shape (out x in)       type")?;
        for component in Component::ALL {
            let Some(column) = self.columns.get(&component) else {
                let missing = model.grid().missing.iter().find(|m| m.component == component);
                writeln!(out, "  {component:<10}      -  {}", missing.map_or("no cell", |m| m.reason.as_str()))?;
                continue;
            };
            let shapes: Vec<String> = column.shapes.keys().map(|(m, n)| format!("{m} x {n}")).collect();
            let dtypes: Vec<&str> = column.dtypes.keys().map(String::as_str).collect();
            writeln!(
                out,
                "  {component:<10} {:>7} {:>12} {:>11}  {:<21}  {}",
                column.cells,
                count(column.weights),
                bytes(column.bytes),
                shapes.join(", "),
                dtypes.join(", ")
            )?;
        }
        writeln!(out)?;
        for (role, group) in &self.others {
            let tensors = if group.tensors == 1 { "tensor" } else { "tensors" };
            writeln!(out, "  {role:<10} {:>7} {tensors}, {}", group.tensors, bytes(group.bytes))?;
        }
        unknown(model.unknown(), out)
    }

    fn json(&self, model: &Model, cost: &Cost) -> Value {
        let source = model.source();
        let columns: Vec<Value> = self.columns.iter().map(|(component, c)| column_json(*component, c)).collect();
        let others: Vec<Value> = self
            .others
            .iter()
            .map(|(role, g)| json!({ "role": role, "tensors": g.tensors, "bytes": g.bytes }))
            .collect();
        let dims: BTreeMap<&str, u64> = model.dims().letters().into_iter().collect();
        json!({
            "path": source.path().display().to_string(),
            "format": source.format().to_string(),
            "family": model.family(),
            "digest": self.digest,
            "dims": dims,
            "cells": model.grid().cells.len(),
            "components": columns,
            "missing": model.grid().missing,
            "others": others,
            "unknown_tensors": model.unknown().iter().map(|t| json!({ "name": t.name, "dtype": t.dtype.name(), "shape": t.shape })).collect::<Vec<_>>(),
            "cost": { "bytes_read": cost.bytes_read, "peak_bytes": cost.peak_bytes, "seconds": cost.seconds },
        })
    }
}

fn column_json(component: Component, column: &Column) -> Value {
    let shapes: Vec<Value> =
        column.shapes.iter().map(|((m, n), cells)| json!({ "out": m, "in": n, "cells": cells })).collect();
    json!({
        "component": component, "cells": column.cells, "weights": column.weights, "bytes": column.bytes,
        "shapes": shapes, "dtypes": column.dtypes,
    })
}

/// Tensors that nobody claimed: the reader should know that they were not looked at.
fn unknown(tensors: &[TensorInfo], out: &mut dyn Write) -> io::Result<()> {
    const MOST: usize = 12;
    if tensors.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  not understood, and not scanned: {} tensors", tensors.len())?;
    for tensor in tensors.iter().take(MOST) {
        let name = tomo_render::escape::plain(&tensor.name, 60);
        writeln!(out, "    {name}  {} {:?}", tensor.dtype, tensor.shape)?;
    }
    if tensors.len() > MOST {
        writeln!(out, "    and {} more", tensors.len() - MOST)?;
    }
    Ok(())
}
