//! Times gradient metrics: `gradients MODEL TOKENS.json METRICS DRAWS GROUP [MEMORY_MB]`. Prints one JSON object: seconds of the
//! pass and of the scores after it, bytes planned for the observer, peak memory of the process.
#![allow(clippy::print_stdout, reason = "a benchmark program talks to its user")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tomo_metrics::{Gradients, IntegratedGradients, Options, select};
use tomo_model::engine::{Engine, EngineOptions, Input, Objective, Unwatched};
use tomo_model::{Model, OpenOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, tokens, metrics, draws, group, memory @ ..] = arguments.as_slice() else {
        return Err("gradients MODEL TOKENS.json METRICS DRAWS GROUP [MEMORY_MB]".into());
    };
    let sequences: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(tokens)?)?;
    let selected = select(metrics)?;
    let options = Options { draws: draws.parse()?, group: group.parse()?, ..Options::default() };
    let memory = memory.first().map(|mb| mb.parse::<u64>()).transpose()?;
    let memory_bytes = memory.map(|mb| mb * 1_000_000);
    let start = Instant::now();
    let model = Arc::new(Model::open(tomo_checkpoint::open(Path::new(model))?, &OpenOptions::default())?);
    let engine =
        Engine::new(model.clone(), model.architecture()?, EngineOptions { memory_bytes, ..EngineOptions::default() })?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let mut seconds = Vec::new();
    let mut gradients = Gradients::new(&model, &selected, &options, &lengths, &Objective::text());
    let bytes = gradients.memory_bytes();
    if !gradients.is_empty() {
        let objectives = gradients.objectives();
        let plan = engine.plan_reverse(&lengths, objectives.len(), bytes)?;
        let inputs: Vec<Input> = sequences.iter().cloned().map(Input::from).collect();
        engine.reverse(&inputs, &objectives, &mut [&mut gradients], &plan, None, &Unwatched)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let mut path = IntegratedGradients::new(&model, &selected, &options, &lengths, &Objective::text());
    if !path.is_empty() {
        let (inputs, objective) = (path.inputs(&sequences), path.objective());
        let lengths: Vec<usize> = inputs.iter().map(|input| input.tokens.len()).collect();
        let plan = engine.plan_reverse(&lengths, 1, path.memory_bytes())?;
        engine.reverse(&inputs, &[objective], &mut [&mut path], &plan, None, &Unwatched)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let columns = gradients.finish().len() + path.finish().len();
    seconds.push(start.elapsed().as_secs_f64());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("").trim();
    println!(
        "{}",
        serde_json::json!({"columns": columns, "seconds_after_each": seconds, "observer_bytes": bytes, "peak": peak})
    );
    Ok(())
}
