//! Scores a checkpoint and prints a table: `cargo run --release -p tomo-metrics --example spectra -- MODEL [METRICS] [THREADS]`.
//! Times go to stderr, scores to stdout (`layer component metric value`).

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tomo_map::CellId;
use tomo_metrics::{Progress, Request, cost, scan, select};
use tomo_model::{Model, OpenOptions};

/// Counts bytes.
struct Count(AtomicU64);

impl Progress for Count {
    fn start(&self, _: usize, _: u64) {}

    fn cell_done(&self, _: CellId, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: spectra MODEL [METRICS] [THREADS]")?;
    let metrics = select(&args.next().unwrap_or_else(|| "spectrum,spectrum@null".to_owned()))?;
    let threads = args.next().map(|n| n.parse()).transpose()?;
    let model = Model::open(tomo_checkpoint::open(path.as_ref())?, &OpenOptions::default())?;
    let request = Request { metrics, threads, ..Request::default() };
    let mut err = std::io::stderr().lock();
    writeln!(err, "{} cells, estimate {:?}", model.cells().len(), cost(&model, &request))?;
    let (clock, count) = (Instant::now(), Count(AtomicU64::new(0)));
    let columns = scan(&model, &request, &count)?;
    writeln!(err, "scanned {} bytes in {:.3} s", count.0.into_inner(), clock.elapsed().as_secs_f64())?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for column in &columns {
        for (cell, score) in model.cells().iter().zip(&column.scores) {
            let value = score.value().map_or_else(|| score.reason().unwrap_or("?").to_owned(), |v| v.to_string());
            writeln!(out, "{}\t{}\t{}\t{value}", cell.id.layer, cell.id.component, column.info.id)?;
        }
    }
    Ok(())
}
