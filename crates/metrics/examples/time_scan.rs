//! Times one scan, or one comparison with a base, and prints the facts as JSON: `time_scan MODEL METRICS [THREADS [BASE]]`. What
//! benches/compare runs as our side.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tomo_map::{CellId, Column, Score};
use tomo_metrics::{ModelPairs, Progress, Request, scan, scan_delta, select};
use tomo_model::{Model, OpenOptions};

struct Silent;

impl Progress for Silent {
    fn start(&self, _cells: usize, _bytes: u64) {}
    fn cell_done(&self, _cell: CellId, _bytes: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Processor seconds of this process so far, all threads together, where Linux tells: what a busy machine does not distort.
fn cpu_seconds() -> Option<f64> {
    /// Linux reports times to user space in hundredths of a second whatever the kernel's own tick.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold spaces; user and system time are the 12th and 13th after it.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// Peak resident memory in bytes, where Linux tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn open(path: &str) -> Result<Model, Box<dyn Error>> {
    Ok(Model::open(tomo_checkpoint::open(Path::new(path))?, &OpenOptions::default())?)
}

/// Bytes of all cells in the checkpoint.
fn cell_bytes(model: &Model) -> u64 {
    (0..model.cells().len()).map(|index| model.cell_bytes(index)).sum()
}

/// Mean over the cells that have a score.
fn mean(column: &Column) -> f64 {
    let values: Vec<f64> = column.scores.iter().filter_map(Score::value).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(metrics)) = (args.next(), args.next()) else {
        return Err("usage: time_scan MODEL METRICS [THREADS [BASE]]".into());
    };
    let threads = args.next().map(|text| text.parse()).transpose()?;
    let base = args.next();

    let begin = Instant::now();
    let model = open(&path)?;
    let base = base.as_deref().map(open).transpose()?;
    let (opened, cpu_opened) = (Instant::now(), cpu_seconds());
    let request = Request { metrics: select(&metrics)?, threads, ..Request::default() };
    let columns = match &base {
        Some(base) => scan_delta(&ModelPairs::new(&model, base, false)?, &request, &Silent)?,
        None => scan(&model, &request, &Silent)?,
    };
    let (done, cpu_done) = (Instant::now(), cpu_seconds());

    let values = || columns.iter().flat_map(|c| &c.scores).map(Score::value);
    let facts = serde_json::json!({
        "metrics": columns.iter().map(|c| &c.info.id).collect::<Vec<_>>(),
        "cells": model.grid().cells.len(),
        "cell_bytes": cell_bytes(&model) + base.as_ref().map_or(0, cell_bytes),
        "peak_bytes": peak_bytes(),
        "means": columns.iter().map(|c| (c.info.id.to_string(), mean(c))).collect::<BTreeMap<_, _>>(),
        "threads": threads,
        "open_seconds": (opened - begin).as_secs_f64(),
        "scan_seconds": (done - opened).as_secs_f64(),
        "scan_cpu_seconds": cpu_done.zip(cpu_opened).map(|(done, opened)| done - opened),
        "missing": values().filter(Option::is_none).count(),
        "checksum": values().flatten().sum::<f64>(),
    });
    writeln!(std::io::stdout(), "{facts}")?;
    Ok(())
}
