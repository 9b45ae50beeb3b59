//! Trains the demo model: a 28-layer Llama of one million weights that reads and writes bytes, from nothing, by Tomograph's
//! own forward and reverse pass; then tunes it to sums. `docs/demo-model.md` says how well it went.
//!
//! `cargo run --release --example train_demo -- FOLDER [STEPS TUNING_STEPS]` writes `base/`, `tuned/`, the texts that were
//! held out and `curve.csv` to FOLDER. Same build, same machine: same bits. With 0 STEPS only the texts are written.
#![allow(clippy::print_stdout)]

mod adamw;
mod draw;
mod genres;
mod model;
mod ngram;
mod template;
mod texts;
mod train;
mod words;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use safetensors::tensor::Dtype;

use adamw::Settings;
use draw::Draw;
use model::{Weights, rounded};
use texts::{HELD_OUT_PROSE, HELD_OUT_SUMS, SEED, Side, TRAINING_PROSE, TRAINING_SUMS, tokens, windows};
use train::{Batches, nll, train};

/// Streams of draws of the batches, apart from those of the weights and the texts.
const BATCHES: u64 = 101;
const TUNING_BATCHES: u64 = 102;

const BASE: Settings = Settings { rate: 4e-3, warm_up: 40, steps: 700, decay: 0.1, clip: 1.0 };
const TUNING: Settings = Settings { rate: 1.5e-3, warm_up: 20, steps: 200, decay: 0.1, clip: 1.0 };

/// Tokens of the windows of a step. Short ones are cheaper and most of what there is to learn is near.
const LENGTHS: [usize; 7] = [512, 512, 256, 256, 256, 128, 128];
/// Windows from the sample, of a hundred.
const SAMPLE_PERCENT: usize = 20;
/// Steps from one line of the curve to the next.
const EVERY: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, steps) = match arguments.as_slice() {
        [folder] => (PathBuf::from(folder), [BASE.steps, TUNING.steps]),
        [folder, base, tuning] => (PathBuf::from(folder), [base.parse()?, tuning.parse()?]),
        _ => return Err("train_demo FOLDER [STEPS TUNING_STEPS]".into()),
    };
    let learnt = texts::training(SEED, TRAINING_PROSE, TRAINING_SUMS);
    let held_out = texts::held_out(SEED, HELD_OUT_PROSE, HELD_OUT_SUMS);
    fs::create_dir_all(&folder)?;
    write_documents(&folder.join("prose.jsonl"), &held_out.generated)?;
    write_documents(&folder.join("sample.jsonl"), &held_out.sample)?;
    write_documents(&folder.join("sums.jsonl"), &held_out.sums)?;
    let mut report = Report::new(&learnt, &held_out);
    if steps[0] == 0 {
        return Ok(());
    }

    let mut weights = model::initial(SEED);
    let prose = [(tokens(&learnt.generated), 100 - SAMPLE_PERCENT), (tokens(&learnt.sample), SAMPLE_PERCENT)];
    let base = run(&mut weights, Settings { steps: steps[0], ..BASE }, prose.into(), BATCHES, |s, l, w| {
        report.line("base", s, l, w)
    })?;
    model::write(&base, Dtype::BF16, &folder.join("base"))?;

    // Tuning starts from what the file holds, as it would for whoever has nothing but the file.
    let mut weights = base;
    let sums = vec![(tokens(&learnt.sums), 100)];
    let tuned = run(&mut weights, Settings { steps: steps[1], ..TUNING }, sums, TUNING_BATCHES, |s, l, w| {
        report.line("tuned", s, l, w)
    })?;
    model::write(&tuned, Dtype::BF16, &folder.join("tuned"))?;
    fs::write(folder.join("curve.csv"), &report.csv)?;
    Ok(())
}

/// Trains, and gives the weights as bf16 has them.
fn run(
    weights: &mut Weights,
    settings: Settings,
    streams: Vec<(Vec<u32>, usize)>,
    draws: u64,
    mut line: impl FnMut(usize, Option<f64>, &Weights) -> Result<(), Box<dyn Error>>,
) -> Result<Weights, Box<dyn Error>> {
    let mut batches = Batches { streams, lengths: LENGTHS.into(), draw: Draw::new(SEED, draws) };
    let (mut sum, mut count) = (0.0, 0);
    train(weights, &settings, &mut batches, |step, loss, weights| {
        sum += loss.unwrap_or(0.0);
        count += usize::from(loss.is_some());
        if step % EVERY == 0 && step < settings.steps {
            line(step, (count > 0).then(|| sum / count as f64), weights)?;
            (sum, count) = (0.0, 0);
        }
        Ok(())
    })?;
    let stored = rounded(weights);
    line(settings.steps, (count > 0).then(|| sum / count as f64), &stored)?;
    Ok(stored)
}

fn write_documents(path: &Path, documents: &[String]) -> Result<(), Box<dyn Error>> {
    let lines = documents.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n");
    Ok(fs::write(path, lines.collect::<String>())?)
}

/// The curve, on stdout as it grows, and as a table.
struct Report {
    held_out: Vec<Vec<Vec<u32>>>,
    csv: String,
    clock: Instant,
}

impl Report {
    fn new(learnt: &Side, held_out: &Side) -> Self {
        let mut csv = "model,step,learnt,prose,sample,sums\n".to_owned();
        for order in [3, 5] {
            let nlls = ngram::nlls(learnt, held_out, order);
            let _ = writeln!(csv, "{order}-gram,,,{:.4},{:.4},{:.4}", nlls[0], nlls[1], nlls[2]);
        }
        print!("{csv}");
        let held_out = [&held_out.generated, &held_out.sample, &held_out.sums].map(|kind| windows(kind)).into();
        Self { held_out, csv, clock: Instant::now() }
    }

    fn line(&mut self, model: &str, step: usize, loss: Option<f64>, weights: &Weights) -> Result<(), Box<dyn Error>> {
        let nlls = self.held_out.iter().map(|windows| nll(weights, windows)).collect::<Result<Vec<_>, _>>()?;
        let loss = loss.map_or_else(String::new, |loss| format!("{loss:.4}"));
        let line = format!("{model},{step},{loss},{:.4},{:.4},{:.4}", nlls[0], nlls[1], nlls[2]);
        println!("{line}  ({:.0} s)", self.clock.elapsed().as_secs_f64());
        let _ = writeln!(self.csv, "{line}");
        Ok(())
    }
}
