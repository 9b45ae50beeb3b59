//! What activation metrics take beside a pass, without the pass: random taps of the sizes that a model has.
//!
//! `cargo run --release -p tomo-metrics --example activations MODEL [METRICS] [SEQUENCES] [TOKENS]`
#![allow(clippy::print_stdout, reason = "a benchmark program talks to its user")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use tomo_metrics::{Activations, Options, select};
use tomo_model::engine::{CellWeights, Observer, Port, Rows, Seen, Tap};
use tomo_model::{Model, OpenOptions};

/// Numbers without structure, some of them large.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 12345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|i| (next() + next() + next()) * (1.0 + (i % 7) as f32)).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().ok_or("usage: activations MODEL [METRICS] [SEQUENCES] [TOKENS]")?;
    let spec = args.get(1).map_or("activations,error@x", String::as_str);
    let number = |at: usize, other: usize| args.get(at).map_or(Ok(other), |text| text.parse::<usize>());
    let (sequences, tokens) = (number(2, 16)?, number(3, 512)?);
    let model = Model::open(tomo_checkpoint::open(Path::new(path))?, &OpenOptions::default())?;
    let lengths = vec![tokens; sequences];
    let observer = Activations::new(&model, &select(spec)?, &Options::default(), &lengths);
    let widest = model.cells().iter().map(|c| c.in_features.max(c.out_features)).max().unwrap_or(1) as usize;
    // Longer than one sequence, so that sequences differ.
    let values = noise(widest * tokens + 64 * sequences);
    let hidden = model.dims().hidden.unwrap_or(1) as usize;
    let (mut seeing, mut weighing) = (Duration::ZERO, Duration::ZERO);
    let mut weights = Vec::new();
    for layer in 0..model.grid().layers {
        let cells: Vec<_> = model.cells().iter().enumerate().filter(|(_, cell)| cell.id.layer == layer).collect();
        let mut taps: Vec<(Tap, Option<u32>, usize)> = Vec::new();
        for (_, cell) in &cells {
            let input = (Tap::Input(Port::of(cell.id.component)), cell.id.expert, cell.in_features as usize);
            if !taps.contains(&input) {
                taps.push(input);
            }
            taps.push((Tap::Output(cell.id.component), cell.id.expert, cell.out_features as usize));
        }
        taps.extend([Tap::AttentionAdd, Tap::MlpAdd, Tap::ResidualOut].map(|tap| (tap, None, hidden)));
        let start = Instant::now();
        (0..sequences).into_par_iter().for_each(|sequence| {
            for (tap, expert, cols) in taps.iter().filter(|(tap, ..)| observer.wants(*tap)) {
                let rows = Rows::dense(&values[64 * sequence..][..tokens * cols], *cols);
                let against = Some(Rows::dense(&values[..tokens * cols], *cols));
                observer.see(&Seen { tap: *tap, layer, expert: *expert, sequence, rows, against, bias: None });
            }
        });
        seeing += start.elapsed();
        if !observer.wants_weights() {
            continue;
        }
        for (index, cell) in cells {
            model.load(index, &mut weights)?;
            let start = Instant::now();
            observer.weigh(&CellWeights { cell: index, values: &weights, cols: cell.in_features as usize });
            weighing += start.elapsed();
        }
    }
    let start = Instant::now();
    let columns = observer.finish();
    println!(
        "{} metrics, {sequences} x {tokens} tokens, {} threads: seeing {:.3} s, weighing {:.3} s, finishing {:.3} s (wall)",
        columns.len(),
        rayon::current_num_threads(),
        seeing.as_secs_f64(),
        weighing.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
