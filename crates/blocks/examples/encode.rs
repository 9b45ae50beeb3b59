//! How fast each type is encoded, without importances and with, and decoded: MB of f32 weights per second of processor time on
//! one thread, so that a busy machine does not change it.
//!
//! `cargo run --release -p tomo-blocks --example encode [WEIGHTS.f32 COLUMNS]`; without a file: normal random numbers.
#![allow(clippy::print_stdout, reason = "a benchmark program talks to its user")]

use std::error::Error;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomo_blocks::{BlockType, Dispatch, TYPES};

const REPEATS: usize = 3;

/// Processor time of this thread so far, where the system tells (Linux).
fn processor_clock() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Best of some times of `work`, in MB/s of so many weights.
fn rate(weights: usize, mut work: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..REPEATS {
        let start = (Instant::now(), processor_clock());
        work();
        let wall = start.0.elapsed();
        best = best.min(processor_clock().zip(start.1).map_or(wall, |(end, start)| end - start));
    }
    weights as f64 * 4.0 / 1e6 / best.as_secs_f64()
}

fn measure(block: &BlockType, values: &[f32], columns: usize) -> Result<[f64; 5], Box<dyn Error>> {
    let importance: Vec<f32> = (0..columns).map(|i| 1.0 + (i % 7) as f32).collect();
    let mut bytes = vec![0; block.row_bytes(columns)?];
    let mut again = vec![0.0; columns];
    let mut encode = |importance: Option<&[f32]>, dispatch| {
        rate(values.len(), || {
            for row in values.chunks_exact(columns) {
                let done = block.encode_row_with(row, importance, std::hint::black_box(&mut bytes), dispatch);
                std::hint::black_box(done.is_ok());
            }
        })
    };
    let plain = Dispatch::ALL.map(|dispatch| encode(None, dispatch));
    let weighted = encode(Some(&importance), Dispatch::Best);
    let decode = rate(values.len(), || {
        for _ in values.chunks_exact(columns) {
            block.decode_blocks(std::hint::black_box(&bytes), std::hint::black_box(&mut again));
        }
    });
    Ok([plain[0], plain[1], plain[2], weighted, decode])
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (values, columns): (Vec<f32>, usize) = match &args[..] {
        [file, columns] => {
            let bytes = std::fs::read(file)?;
            (bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(), columns.parse()?)
        }
        _ => {
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let normal = |_| -> f32 { StandardNormal.sample(&mut rng) };
            ((0..1536 * 512).map(normal).map(|w| w * 0.02).collect(), 1536)
        }
    };
    println!("{} weights in rows of {columns}; MB of f32 per second, one thread", values.len());
    println!("{:8} {:>8} {:>8} {:>8} {:>12} {:>8}", "type", "best", "avx2", "portable", "importances", "decode");
    for block in TYPES.iter().filter(|t| t.fits(columns)) {
        let [best, avx2, portable, weighted, decode] = measure(block, &values, columns)?;
        println!("{:8} {best:8.0} {avx2:8.0} {portable:8.0} {weighted:12.0} {decode:8.0}", block.id);
    }
    Ok(())
}
