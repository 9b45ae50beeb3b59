//! What activation metrics add to a pass: the same pass without and with them, in turn.
//!
//! `cargo run --release -p tomo-metrics --example activations MODEL [METRICS] [SEQUENCES] [TOKENS] [THREADS] [once]`; `once`
//! runs one pass, with them (`none` for METRICS: without), and says what memory it took. Tokens are random.
#![allow(clippy::print_stdout, reason = "a benchmark program talks to its user")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tomo_metrics::{Activations, Options, Selected, activations_cost, select};
use tomo_model::engine::{Engine, EngineOptions, Observer, Until, Unwatched};
use tomo_model::{Model, OpenOptions};

const REPEATS: usize = 3;

/// Processor seconds of this process so far and its peak resident memory in MB, where Linux tells.
fn used() -> Option<(f64, f64)> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak: f64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(((user + system) / 100.0, peak / 1000.0))
}

/// Wall and processor seconds of one pass.
fn pass(
    engine: &Engine,
    sequences: &[Vec<u32>],
    selected: &[Selected],
    resident: bool,
) -> Result<(f64, f64), Box<dyn Error>> {
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let (start, before) = (Instant::now(), used().unwrap_or_default());
    let observer = Activations::new(engine.model(), selected, &Options::default(), &lengths);
    let observers: &[&dyn Observer] = if observer.is_empty() { &[] } else { &[&observer] };
    let mut plan = engine.plan(&lengths, observers, 0, Until::Loss)?;
    plan.resident &= resident;
    engine.forward(sequences, observers, &plan, Until::Loss, &Unwatched)?;
    observer.finish();
    Ok((start.elapsed().as_secs_f64(), used().unwrap_or_default().0 - before.0))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().ok_or("usage: activations MODEL [METRICS] [SEQUENCES] [TOKENS] [THREADS] [once]")?;
    let spec = args.get(1).map_or("activations,error@x", String::as_str);
    let number = |at: usize, other: usize| args.get(at).map_or(Ok(other), |text| text.parse::<usize>());
    let (sequences, tokens, threads) = (number(2, 16)?, number(3, 512)?, number(4, 2)?);
    let model = Arc::new(Model::open(tomo_checkpoint::open(Path::new(path))?, &OpenOptions::default())?);
    let architecture = model.architecture()?;
    let vocab = architecture.vocab as u64;
    let mut state = 1_u64;
    let mut token = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocab) as u32
    };
    let texts: Vec<Vec<u32>> = (0..sequences).map(|_| (0..tokens).map(|_| token()).collect()).collect();
    let options = EngineOptions { threads: Some(threads), streamed: true, ..EngineOptions::default() };
    let engine = Engine::new(model.clone(), architecture, options)?;
    let selected = if spec == "none" { Vec::new() } else { select(spec)? };
    let cost = activations_cost(&model, &selected, &Options::default(), &vec![tokens; sequences], threads);
    println!("estimate: {:.2} s on {threads} threads, {:.1} MB", cost.seconds, cost.peak_bytes as f64 / 1e6);
    if let Some("once") = args.get(5).map(String::as_str) {
        // Memory is that of a single pass only in a process that runs a single pass.
        let (wall, processor) = pass(&engine, &texts, &selected, false)?;
        println!("wall {wall:.2} s, processor {processor:.2} s, peak {:.1} MB", used().unwrap_or_default().1);
        return Ok(());
    }
    for _ in 0..REPEATS {
        let without = pass(&engine, &texts, &[], false)?;
        let with = pass(&engine, &texts, &selected, false)?;
        println!(
            "without: wall {:.2} s, processor {:.2} s; with {} metrics: wall {:.2} s, processor {:.2} s; processor +{:.1} %",
            without.0,
            without.1,
            selected.len(),
            with.0,
            with.1,
            100.0 * (with.1 / without.1 - 1.0)
        );
    }
    Ok(())
}
