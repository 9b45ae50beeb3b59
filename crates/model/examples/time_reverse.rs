//! Times reverse passes, for benches/compare/backward.py:
//! `time_reverse MODEL TOKENS.json ROUNDS THREADS HOW cells|weights [DRAWS]`, HOW being `keep`, `recompute` or `stream`.
//!
//! One round is everything from the checkpoint's bytes to the gradients: of the outputs of all cells, squared and summed; or of all
//! weights, squared sequence by sequence as Fisher's diagonal is. With DRAWS, gradients of so many draws of labels beside that of
//! the text. Prints one JSON object.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use tomo_model::engine::{
    Activations, CellGradients, Engine, EngineOptions, GradientObserver, Input, Loss, Objective, Unwatched,
};
use tomo_model::{Model, OpenOptions};

/// Sums that need every gradient.
struct Sums {
    weights: bool,
    gradient: Vec<f32>,
    sum: f64,
}

impl GradientObserver for Sums {
    fn see(&mut self, seen: &CellGradients<'_>) {
        let squares = |part: &[f32]| part.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>();
        let total = |parts: Vec<f64>| parts.iter().sum::<f64>();
        for (objective, g) in seen.gradients.iter().enumerate() {
            if !self.weights {
                self.sum += total((0..g.len()).into_par_iter().with_min_len(16).map(|t| squares(g.row(t))).collect());
                continue;
            }
            self.gradient.resize(seen.weights.len(), 0.0);
            for span in seen.spans {
                seen.weight_gradient(objective, &span.rows, false, &mut self.gradient);
                self.sum += total(self.gradient.par_chunks(1 << 14).map(squares).collect());
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, tokens, rounds, threads, how, what, draws @ ..] = arguments.as_slice() else {
        return Err("time_reverse MODEL TOKENS.json ROUNDS THREADS keep|recompute|stream cells|weights [DRAWS]".into());
    };
    let sequences: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(tokens)?)?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    let inputs: Vec<Input> = sequences.into_iter().map(Input::from).collect();
    let draws: u64 = draws.first().map_or(Ok(0), |d| d.parse())?;
    let drawn = (0..draws).map(|draw| Objective { loss: Loss::Drawn { seed: 0, draw }, positions: None });
    let objectives: Vec<Objective> = std::iter::once(Objective::text()).chain(drawn).collect();
    let (mut seconds, mut plan, mut sum) = (Vec::new(), None, 0.0);
    for _ in 0..rounds.parse::<usize>()? {
        let clock = Instant::now();
        let model = Model::open(tomo_checkpoint::open(Path::new(model))?, &OpenOptions::default())?;
        let architecture = model.architecture()?;
        let activations = if how == "keep" { Activations::Keep } else { Activations::Recompute };
        let threads = Some(threads.parse()?);
        let options = EngineOptions { threads, streamed: how == "stream", activations, ..EngineOptions::default() };
        let engine = Engine::new(Arc::new(model), architecture, options)?;
        let own = engine.plan_reverse(&lengths, objectives.len(), 0)?;
        let mut sums = Sums { weights: what == "weights", gradient: Vec::new(), sum: 0.0 };
        engine.reverse(&inputs, &objectives, &mut [&mut sums], &own, None, &Unwatched)?;
        seconds.push(clock.elapsed().as_secs_f64());
        (plan, sum) = (Some(own), sums.sum);
    }
    println!(
        "{}",
        serde_json::json!({ "seconds": seconds, "norm": sum.sqrt(), "plan": plan.map(|p| format!("{p:?}")) })
    );
    Ok(())
}
