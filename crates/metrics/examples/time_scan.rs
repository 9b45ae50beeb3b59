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

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(metrics)) = (args.next(), args.next()) else {
        return Err("usage: time_scan MODEL METRICS [THREADS]".into());
    };
    let threads = args.next().map(|text| text.parse()).transpose()?;

    let begin = Instant::now();
    let model = Model::open(tomo_checkpoint::open(Path::new(&path))?, &OpenOptions::default())?;
    let (opened, cpu_opened) = (Instant::now(), cpu_seconds());
    let request = Request { metrics: select(&metrics)?, threads, ..Request::default() };
    let columns = scan(&model, &request, &Silent)?;
    let (done, cpu_done) = (Instant::now(), cpu_seconds());

    let values = || columns.iter().flat_map(|c| &c.scores).map(Score::value);
    let facts = serde_json::json!({
        "metrics": columns.iter().map(|c| &c.info.id).collect::<Vec<_>>(),
        "cells": model.grid().cells.len(),
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
