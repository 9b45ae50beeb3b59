//! Times variants beside the original, for benches/compare: `time_compare MODEL TOKENS.json VARIANTS THREADS [MEMORY]`.
//!
//! So many cells, spread over layers and columns, are rounded to 3 bits in groups of 64, one variant each. The time of the whole
//! grid is what that takes by its operations. Prints one JSON object, with what two large matrices reach on the same threads.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tomo_model::engine::{
    CellWeights, Change, DamageSink, Engine, EngineError, EngineOptions, Rewrite, TokenDamage, Unwatched, Variant,
};
use tomo_model::{Model, OpenOptions};

/// Symmetric, 3 bits, groups of 64.
struct Rounded;

impl Rewrite for Rounded {
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        for (out, w) in out.chunks_mut(64).zip(weights.values.chunks(64)) {
            let step = w.iter().fold(0.0_f32, |top, w| top.max(w.abs())) / 3.0;
            for (out, w) in out.iter_mut().zip(w) {
                *out = if step > 0.0 { (w / step).round().clamp(-4.0, 3.0) * step } else { 0.0 };
            }
        }
        Ok(())
    }
}

/// Sums of KL and counts of tokens by variant.
#[derive(Default)]
struct Means(Mutex<Vec<(f64, usize)>>);

impl DamageSink for Means {
    fn original(&self, _sequence: usize, _nll: &[f64]) {}

    fn see(&self, variant: usize, _sequence: usize, tokens: &[TokenDamage]) {
        if let Ok(mut all) = self.0.lock() {
            if all.len() <= variant {
                all.resize(variant + 1, (0.0, 0));
            }
            all[variant].0 += tokens.iter().map(|t| t.kl).sum::<f64>();
            all[variant].1 += tokens.len();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, tokens, count, threads, memory @ ..] = arguments.as_slice() else {
        return Err("time_compare MODEL TOKENS.json VARIANTS THREADS [MEMORY BYTES]".into());
    };
    let sequences: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(tokens)?)?;
    let model = Model::open(tomo_checkpoint::open(Path::new(model))?, &OpenOptions::default())?;
    let architecture = model.architecture()?;
    let threads = threads.parse()?;
    let memory_bytes = memory.first().map(|m| m.parse()).transpose()?;
    let options = EngineOptions { threads: Some(threads), memory_bytes, ..EngineOptions::default() };
    let cells = model.cells().len();
    let engine = Engine::new(Arc::new(model), architecture, options)?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let variant =
        |cell: usize| Variant { changes: vec![(cell, Change::Weights(Arc::new(Rounded)))], ..Variant::default() };
    let grid: Vec<Variant> = (0..cells).map(variant).collect();
    let count = count.parse::<usize>()?.clamp(1, cells);
    // One from each of so many equal stretches, the columns in turn.
    let stretch = cells / count;
    let chosen: Vec<usize> = (0..count).map(|i| i * stretch + (3 * i) % stretch.max(1)).collect();
    let numbers = chosen.clone();
    let chosen: Vec<Variant> = chosen.into_iter().map(variant).collect();
    let whole = engine.plan_compare(&lengths, &grid)?;
    // A plain loop runs every variant through everything.
    let one = engine.plan_compare(&lengths, &[])?.operations - head_operations(&engine, &lengths);
    let bound = (cells as u64 * one) as f64 / whole.operations as f64;
    let plan = engine.plan_compare(&lengths, &chosen)?;
    // Decodes what stays decoded.
    let first = tomo_model::engine::Round { sequences: vec![0], variants: vec![0] };
    engine.compare(&sequences, &chosen, &first, &plan, &Means::default(), None, &Unwatched)?;
    let (clock, means) = (Instant::now(), Means::default());
    for round in &plan.rounds {
        engine.compare(&sequences, &chosen, round, &plan, &means, None, &Unwatched)?;
    }
    let seconds = clock.elapsed().as_secs_f64();
    let kl: Vec<f64> =
        means.0.lock().map_err(|e| e.to_string())?.iter().map(|(sum, tokens)| sum / *tokens as f64).collect();
    let peak = peak_bytes();
    let rate = plan.operations as f64 / seconds / 1e9;
    println!(
        "{}",
        serde_json::json!({
            "seconds": seconds,
            "operations": plan.operations,
            "gflops": rate,
            "gflops_of_matmul": limit(threads),
            "seconds_of_grid": seconds * whole.operations as f64 / plan.operations as f64,
            "plan": { "bytes": plan.bytes, "rounds": plan.rounds.len(), "resident": plan.resident },
            "plan_of_grid": { "bytes": whole.bytes, "rounds": whole.rounds.len(), "resident": whole.resident },
            "peak_bytes": peak,
            "kl": kl,
            "cells": numbers,
            "grid": cells,
            "bound": bound,
        })
    );
    Ok(())
}

/// Operations of the head of one pass; a comparison takes that of the original twice.
fn head_operations(engine: &Engine, lengths: &[usize]) -> u64 {
    let tokens: usize = lengths.iter().sum();
    2 * (tokens * engine.architecture().hidden * engine.architecture().vocab) as u64
}

/// The most memory this process has had, where the system says so.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}

/// Billions of operations per second of faer on large f32 matrices.
fn limit(threads: usize) -> f64 {
    use faer::linalg::matmul::matmul;
    use faer::{Accum, Mat, Par};
    const SIZE: usize = 2048;
    let a = Mat::<f32>::from_fn(SIZE, SIZE, |i, j| ((i * 31 + j * 17) % 13) as f32 - 6.0);
    let b = Mat::<f32>::from_fn(SIZE, SIZE, |i, j| ((i * 7 + j * 29) % 11) as f32 - 5.0);
    let mut best = 0.0_f64;
    for _ in 0..5 {
        let mut outs: Vec<Mat<f32>> = (0..threads).map(|_| Mat::zeros(SIZE, SIZE)).collect();
        let clock = Instant::now();
        std::thread::scope(|scope| {
            for out in &mut outs {
                let (a, b) = (&a, &b);
                scope.spawn(move || matmul(out.as_mut(), Accum::Replace, a, b, 1.0_f32, Par::Seq));
            }
        });
        let operations = 2.0 * (SIZE * SIZE * SIZE * threads) as f64;
        best = best.max(operations / clock.elapsed().as_secs_f64() / 1e9);
    }
    best
}
