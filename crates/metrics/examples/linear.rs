//! How long the metrics that sweep the entries take over a model that is in memory as f32.
//!
//! `cargo run --release -p tomo-metrics --example linear WEIGHTS.f32 CELLS.index`; the index has a line
//! `layer component rows cols first_value dtype` per matrix.
#![allow(clippy::print_stdout, reason = "a benchmark program talks to its user")]

use std::error::Error;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tomo_metrics::{Facts, METRICS, Matrix, Metric, Options};

const REPEATS: usize = 5;

struct Cell {
    rows: usize,
    cols: usize,
    first: usize,
}

/// Processor time of this thread so far, where the system tells (Linux).
fn processor_clock() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Wall time, and processor time of all threads, of scoring every cell with every one of `metrics`.
fn sweep(values: &[f32], cells: &[Cell], metrics: &[&Metric], threads: usize) -> (f64, f64) {
    let options = Options::default();
    let (next, nanos) = (AtomicUsize::new(0), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let begin = processor_clock();
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let entries = &values[cell.first..cell.first + cell.rows * cell.cols];
                    let facts = Facts::new(Matrix { rows: cell.rows, cols: cell.cols, values: entries });
                    for metric in metrics {
                        std::hint::black_box(metric.kind.score(&facts, &options));
                    }
                }
                if let Some((end, begin)) = processor_clock().zip(begin) {
                    nanos.fetch_add((end - begin).as_nanos() as u64, Ordering::Relaxed);
                }
            });
        }
    });
    (start.elapsed().as_secs_f64(), nanos.load(Ordering::Relaxed) as f64 * 1e-9)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [weights, index] = &args[..] else { return Err("usage: linear WEIGHTS.f32 CELLS.index".into()) };
    let bytes = std::fs::read(weights)?;
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let mut cells = Vec::new();
    for line in std::fs::read_to_string(index)?.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, rows, cols, first, ..] = fields[..] else { return Err(format!("bad line: {line}").into()) };
        cells.push(Cell { rows: rows.parse()?, cols: cols.parse()?, first: first.parse()? });
    }
    for family in ["weights", "error"] {
        let metrics: Vec<&Metric> = METRICS.iter().copied().filter(|metric| metric.info.family == family).collect();
        for threads in [1, 2] {
            let (wall, processor): (Vec<f64>, Vec<f64>) =
                (0..REPEATS).map(|_| sweep(&values, &cells, &metrics, threads)).unzip();
            println!(
                "{} metrics of family {family}, {threads} thread(s): wall {:.3} s, processor {:.3} s (medians of {REPEATS})",
                metrics.len(),
                median(wall),
                median(processor)
            );
        }
    }
    Ok(())
}
