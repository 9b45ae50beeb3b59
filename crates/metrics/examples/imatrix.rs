//! Reads an imatrix of either format, prints its statistics with tabs between, and writes it again:
//! `cargo run -p tomo-metrics --example imatrix -- IN [OUT.gguf|OUT.dat]...`
#![allow(clippy::print_stdout, reason = "it talks to its user")]

use std::error::Error;
use std::fs::File;
use std::path::Path;

use tomo_metrics::{Imatrix, ImatrixFormat};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, outputs @ ..] = &args[..] else { return Err("usage: imatrix IN [OUT.gguf|OUT.dat]...".into()) };
    let imatrix = Imatrix::read(Path::new(input))?;
    let statistics = imatrix.statistics();
    for t in &statistics.tensors {
        let layer = t.layer.map_or("-".to_owned(), |layer| layer.to_string());
        println!(
            "{layer}\t{}\t{:.2}\t{:.4}\t{:.4}\t{:.2}\t{:.2}\t{:.2}%\t{}\t{:.4}\t{:.2}%\t{:.2}%\t{:.4}",
            t.kind,
            t.total,
            t.min,
            t.max,
            t.mean,
            t.sd,
            100.0 * t.active,
            t.elements,
            t.entropy,
            100.0 * t.entropy_relative,
            100.0 * t.far,
            t.cosine
        );
    }
    for l in &statistics.layers {
        println!("{}\t{:.2}\t{:.4}%\t{:.4}", l.layer, l.total, 100.0 * l.far, l.cosine);
    }
    for output in outputs {
        let format = if output.ends_with(".dat") { ImatrixFormat::Legacy } else { ImatrixFormat::Gguf };
        imatrix.write(format, &mut File::create(output)?)?;
    }
    Ok(())
}
