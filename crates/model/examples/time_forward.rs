//! Times forward passes with loss, for benches/compare/forward.py: `time_forward MODEL TOKENS.json ROUNDS THREADS`.
//!
//! One round is everything from the checkpoint's bytes to the losses: blocks and head are decoded afresh, since streamed
//! weights are never kept. Prints one JSON object.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tomo_model::engine::{Engine, EngineOptions, Until, Unwatched};
use tomo_model::{Model, OpenOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, tokens, rounds, threads] = arguments.as_slice() else {
        return Err("time_forward MODEL TOKENS.json ROUNDS THREADS".into());
    };
    let sequences: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(tokens)?)?;
    let model = Model::open(tomo_checkpoint::open(Path::new(model))?, &OpenOptions::default())?;
    let architecture = model.architecture()?;
    let options = EngineOptions { threads: Some(threads.parse()?), streamed: true, ..EngineOptions::default() };
    let engine = Engine::new(Arc::new(model), architecture, options)?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let plan = engine.plan(&lengths, &[], 0, Until::Loss)?;
    let (mut seconds, mut nll) = (Vec::new(), 0.0);
    for _ in 0..rounds.parse::<usize>()? {
        let clock = Instant::now();
        let outcome = engine.forward(&sequences, &[], &plan, Until::Loss, &Unwatched)?;
        seconds.push(clock.elapsed().as_secs_f64());
        let count: usize = outcome.losses.iter().map(Vec::len).sum();
        nll = outcome.losses.iter().flatten().sum::<f64>() / count as f64;
    }
    println!("{}", serde_json::json!({ "seconds": seconds, "nll_mean": nll, "plan_bytes": plan.bytes }));
    Ok(())
}
