//! How fast each format's error sweep is: GB of f32 weights per second, per instruction set and for one and two
//! threads.
//!
//! `cargo run --release -p tomo-quant --example throughput [WEIGHTS.f32 CELLS.index]`; the index has a line
//! `layer component rows cols first_value dtype` per matrix. Without files: random matrices of SmolLM2's shapes.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a benchmark program talks to its user")]

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomo_quant::{Dispatch, FORMATS, Format, Matrix, find};

/// The formats of the error metrics.
const METRICS: [&str; 8] = ["int4", "int3", "int2", "nf4", "q4_0", "nvfp4", "mxfp4", "fp8"];
const REPEATS: usize = 5;

struct Cells {
    values: Vec<f32>,
    /// First value, number of values, columns.
    cells: Vec<(usize, usize, usize)>,
}

impl Cells {
    fn random() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let shapes = [(576, 576), (192, 576), (192, 576), (576, 576), (1536, 576), (576, 1536), (1536, 576)];
        let mut values = Vec::new();
        let mut cells = Vec::new();
        for (rows, cols) in (0..30).flat_map(|_| shapes) {
            cells.push((values.len(), rows * cols, cols));
            values.extend((0..rows * cols).map(|_| -> f32 { StandardNormal.sample(&mut rng) }).map(|w: f32| w * 0.02));
        }
        Self { values, cells }
    }

    fn read(weights: &str, index: &str) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(weights)?;
        let values = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let mut cells = Vec::new();
        for line in std::fs::read_to_string(index)?.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, _, rows, cols, first, ..] = fields[..] else { return Err(format!("bad line: {line}").into()) };
            let (rows, cols): (usize, usize) = (rows.parse()?, cols.parse()?);
            cells.push((first.parse()?, rows * cols, cols));
        }
        Ok(Self { values, cells })
    }

    fn matrix(&self, cell: usize) -> Matrix<'_> {
        let (first, len, cols) = self.cells[cell];
        Matrix::new(&self.values[first..first + len], cols, 128).expect("cells are whole rows")
    }

    /// Median processor time of sweeping all cells with `format` on this thread; a busy machine does not change it.
    fn processor_time(&self, format: &Format, dispatch: Dispatch) -> Duration {
        let mut times: Vec<Duration> = (0..REPEATS)
            .map(|_| {
                let start = (Instant::now(), processor_clock());
                for cell in 0..self.cells.len() {
                    std::hint::black_box(format.error2_with(&self.matrix(cell), dispatch));
                }
                let wall = start.0.elapsed();
                processor_clock().zip(start.1).map_or(wall, |(end, start)| end - start)
            })
            .collect();
        times.sort();
        times[REPEATS / 2]
    }

    /// Median wall time of sweeping all cells with each of `formats`, cells shared out to threads.
    fn time(&self, formats: &[&Format], dispatch: Dispatch, threads: usize) -> Duration {
        let mut times: Vec<Duration> = (0..REPEATS)
            .map(|_| {
                let start = Instant::now();
                let next = AtomicUsize::new(0);
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            loop {
                                let cell = next.fetch_add(1, Ordering::Relaxed);
                                if cell >= self.cells.len() {
                                    break;
                                }
                                let matrix = self.matrix(cell);
                                for format in formats {
                                    std::hint::black_box(format.error2_with(&matrix, dispatch));
                                }
                            }
                        });
                    }
                });
                start.elapsed()
            })
            .collect();
        times.sort();
        times[REPEATS / 2]
    }
}

/// Processor time of this thread so far, where the system tells (Linux).
fn processor_clock() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let cells = match &args[..] {
        [weights, index] => Cells::read(weights, index)?,
        _ => Cells::random(),
    };
    let gigabytes = cells.values.len() as f64 * 4.0 / 1e9;
    println!("{} matrices, {} weights, {gigabytes:.3} GB", cells.cells.len(), cells.values.len());
    println!("GB/s, medians of {REPEATS}: one thread by processor time, two threads by wall time");
    println!("{:10} {:>9} {:>9} {:>9} {:>12}", "format", "best", "avx2", "portable", "best x2");
    // Types of GGUF have an example of their own in tomo-blocks.
    for format in FORMATS.iter().filter(|format| format.stored().is_none()) {
        let rate = |dispatch| gigabytes / cells.processor_time(format, dispatch).as_secs_f64();
        let [best, avx2, portable] = Dispatch::ALL.map(rate);
        let both = gigabytes / cells.time(&[format], Dispatch::Best, 2).as_secs_f64();
        println!("{:10} {best:9.2} {avx2:9.2} {portable:9.2} {both:12.2}", format.id);
    }
    let metrics: Vec<&Format> = METRICS.iter().filter_map(|id| find(id)).collect();
    for threads in [1, 2] {
        let seconds = cells.time(&metrics, Dispatch::Best, threads).as_secs_f64();
        println!("the eight error metrics, {threads} thread(s): {seconds:.3} s");
    }
    Ok(())
}
