//! Times one scan and prints the facts as JSON: `time_scan MODEL METRICS [THREADS]`. What benches/compare runs as our side.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tomo_map::{CellId, Score};
use tomo_metrics::{Progress, Request, scan, select};
use tomo_model::{Model, OpenOptions};

struct Silent;

impl Progress for Silent {
    fn start(&self, _cells: usize, _bytes: u64) {}
    fn cell_done(&self, _cell: CellId, _bytes: u64) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(metrics)) = (args.next(), args.next()) else {
        return Err("usage: time_scan MODEL METRICS [THREADS]".into());
    };
    let threads = args.next().map(|text| text.parse()).transpose()?;

    let begin = Instant::now();
    let model = Model::open(tomo_checkpoint::open(Path::new(&path))?, &OpenOptions::default())?;
    let opened = Instant::now();
    let request = Request { metrics: select(&metrics)?, threads, ..Request::default() };
    let columns = scan(&model, &request, &Silent)?;
    let done = Instant::now();

    let values = || columns.iter().flat_map(|c| &c.scores).map(Score::value);
    let facts = serde_json::json!({
        "metrics": columns.iter().map(|c| &c.info.id).collect::<Vec<_>>(),
        "cells": model.grid().cells.len(),
        "threads": threads,
        "open_seconds": (opened - begin).as_secs_f64(),
        "scan_seconds": (done - opened).as_secs_f64(),
        "missing": values().filter(Option::is_none).count(),
        "checksum": values().flatten().sum::<f64>(),
    });
    writeln!(std::io::stdout(), "{facts}")?;
    Ok(())
}
