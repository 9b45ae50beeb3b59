//! Writes a random llama-family checkpoint of any size:
//! `cargo run --release -p tomo-phantom --example shaped -- DIR [like-1.5b|like-8b] [--layers N] [--hidden N] [--ffn N]
//! [--heads N] [--kv-heads N] [--vocab N] [--untied] [--dtype bf16|f16|f32] [--shards N] [--seed N] [--nudge SD]`. With --nudge, the
//! same checkpoint after a normal change of that size: the other half of a pair.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use tomo_phantom::{Shape, ShapedDType, write_nudged};

struct Request {
    dir: PathBuf,
    shape: Shape,
    seed: u64,
    shards: usize,
    nudge: f64,
}

fn request(mut args: impl Iterator<Item = String>) -> Result<Request, String> {
    let dir = args.next().ok_or("expected a folder")?.into();
    let mut request = Request { dir, shape: Shape::LIKE_1_5B, seed: 0, shards: 1, nudge: 0.0 };
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or(format!("{flag} needs a value"));
        let number = |text: String| text.parse::<usize>().map_err(|e| format!("{flag} {text}: {e}"));
        match flag.as_str() {
            "like-1.5b" => request.shape = Shape::LIKE_1_5B,
            "like-8b" => request.shape = Shape::LIKE_8B,
            "--untied" => request.shape.tied = false,
            "--layers" => request.shape.layers = number(value()?)?,
            "--hidden" => request.shape.hidden = number(value()?)?,
            "--ffn" => request.shape.ffn = number(value()?)?,
            "--heads" => request.shape.heads = number(value()?)?,
            "--kv-heads" => request.shape.kv_heads = number(value()?)?,
            "--vocab" => request.shape.vocab = number(value()?)?,
            "--shards" => request.shards = number(value()?)?,
            "--nudge" => {
                let text = value()?;
                request.nudge = text.parse().map_err(|e| format!("{flag} {text}: {e}"))?;
            }
            "--seed" => request.seed = number(value()?)? as u64,
            "--dtype" => {
                request.shape.dtype = match value()?.as_str() {
                    "bf16" => ShapedDType::Bf16,
                    "f16" => ShapedDType::F16,
                    "f32" => ShapedDType::F32,
                    other => return Err(format!("unknown dtype {other}")),
                }
            }
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(request)
}

fn main() -> io::Result<()> {
    let request = request(std::env::args().skip(1)).map_err(io::Error::other)?;
    let start = Instant::now();
    let bytes = write_nudged(&request.dir, &request.shape, request.seed, request.shards, request.nudge)?;
    let seconds = start.elapsed().as_secs_f64();
    let gigabytes = bytes as f64 / 1e9;
    writeln!(io::stdout(), "{gigabytes:.2} GB in {seconds:.1} s, {:.0} MB/s", gigabytes * 1e3 / seconds)
}
