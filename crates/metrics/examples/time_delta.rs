//! Times one comparison of two checkpoints and prints the facts as JSON: `time_delta TUNED BASE METRICS [THREADS]`. What
//! benches/compare/delta.py runs as our side.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tomo_map::{CellId, Score};
use tomo_metrics::{ModelPairs, Progress, Request, scan_delta, select};
use tomo_model::{Model, OpenOptions};

struct Silent;

impl Progress for Silent {
    fn start(&self, _cells: usize, _bytes: u64) {}
    fn cell_done(&self, _cell: CellId, _bytes: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Peak resident memory in bytes, where Linux tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(tuned), Some(base), Some(metrics)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: time_delta TUNED BASE METRICS [THREADS]".into());
    };
    let threads = args.next().map(|text| text.parse()).transpose()?;
    let open = |path: &str| -> Result<Model, Box<dyn Error>> {
        Ok(Model::open(tomo_checkpoint::open(Path::new(path))?, &OpenOptions::default())?)
    };
    let begin = Instant::now();
    let (tuned, base) = (open(&tuned)?, open(&base)?);
    let opened = Instant::now();
    let request = Request { metrics: select(&metrics)?, threads, ..Request::default() };
    let columns = scan_delta(&ModelPairs::new(&tuned, &base, false)?, &request, &Silent)?;
    let done = Instant::now();
    let values = || columns.iter().flat_map(|c| &c.scores).map(Score::value);
    let bytes: u64 = (0..tuned.cells().len()).map(|i| tuned.cell_bytes(i) + base.cell_bytes(i)).sum();
    let means = columns.iter().map(|c| {
        let values: Vec<f64> = c.scores.iter().filter_map(Score::value).collect();
        (c.info.id.to_string(), values.iter().sum::<f64>() / values.len() as f64)
    });
    let facts = serde_json::json!({
        "means": means.collect::<std::collections::BTreeMap<_, _>>(),
        "cells": tuned.grid().cells.len(),
        "bytes": bytes,
        "threads": threads,
        "open_seconds": (opened - begin).as_secs_f64(),
        "scan_seconds": (done - opened).as_secs_f64(),
        "peak_bytes": peak_bytes(),
        "missing": values().filter(Option::is_none).count(),
    });
    writeln!(std::io::stdout(), "{facts}")?;
    Ok(())
}
