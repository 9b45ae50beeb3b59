use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tomo_verify::{Agreement, Form, Measured, Options, Row, Source, VerifyError, agree};

use super::{Context, Exit};
use crate::agreement_file;
use crate::cli::files::read_map;
use crate::cli::{agreement_table, files};

/// Hold the metrics of maps against what changing cells was measured to cost
///
/// Ranks every metric by its rank correlation with a measured cost, beside controls that know nothing of the weights. For
/// instance: tomograph map MODEL --metric all,quant-kl-int3 --out maps; tomograph agree maps --with quant-kl-int3
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Maps of one model: map.json files, or the folders that hold them
    #[arg(value_name = "MAP", required = true)]
    maps: Vec<PathBuf>,

    /// The measured cost: a metric that one of the maps holds [default: the only one of family causal]
    #[arg(long, value_name = "ID")]
    with: Option<String>,

    /// Compare costs and scores per weight: what allocation asks for
    #[arg(long, visible_alias = "per-weight")]
    per_parameter: bool,

    /// Compare maps of the same grid though they are of different weights
    #[arg(long)]
    force: bool,

    /// Write everything to a file, by its ending .md, .json or .csv; may be repeated
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Random samples behind intervals
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    resamples: u32,

    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        // Before anything is computed that then has no place to go.
        let writers: Vec<Writer> = self.output.iter().map(|path| writer(path)).collect::<anyhow::Result<_>>()?;
        let sources: Vec<Source> = self.maps.iter().map(|path| read(path)).collect::<anyhow::Result<_>>()?;
        let options = Options {
            with: self.with,
            force: self.force,
            resamples: usize::try_from(self.resamples)?,
            seed: self.seed,
            ..Options::default()
        };
        let found = agree(&sources, &options).map_err(with_hint)?;
        for (path, write) in self.output.iter().zip(writers) {
            files::write_whole(path, &write(&found)?)?;
        }
        let width = context.streams.terminal.width;
        let out = &mut context.streams.out;
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&agreement_file::to_json(&found)?)?)?;
        } else {
            let form: fn(&Row) -> &Form = if self.per_parameter { |row| &row.per_parameter } else { |row| &row.raw };
            agreement_table::print(&found, form, width, out)?;
        }
        Ok(Exit::Success)
    }
}

type Writer = fn(&Agreement) -> anyhow::Result<Vec<u8>>;

fn writer(path: &Path) -> anyhow::Result<Writer> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    Ok(match ending.as_deref() {
        Some("md") => |found| Ok(agreement_file::to_markdown(found).into_bytes()),
        Some("json") => |found| {
            let mut bytes = serde_json::to_vec_pretty(&agreement_file::to_json(found)?)?;
            bytes.push(b'\n');
            Ok(bytes)
        },
        Some("csv") => |found| {
            let mut bytes = Vec::new();
            agreement_file::write_csv(found, &mut bytes)?;
            Ok(bytes)
        },
        _ => bail!("cannot tell the format of {}: expected a name that ends in .md, .json or .csv", path.display()),
    })
}

/// Reads a map and, where it is there, `measured.json` beside it.
fn read(path: &Path) -> anyhow::Result<Source> {
    let map = read_map(path)?;
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let file = folder.join("measured.json");
    let measured = match std::fs::read(&file) {
        Ok(bytes) => Some(Measured::read(&bytes).with_context(|| format!("cannot understand {}", file.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    Ok(Source { measured, ..Source::new(path.display().to_string(), map) })
}

/// Near names where the one asked for is not there.
fn with_hint(error: VerifyError) -> anyhow::Error {
    let VerifyError::NoSuchMetric { asked, known } = &error else { return error.into() };
    let near = tomo_map::near_names(asked, known.iter().cloned());
    if near.is_empty() {
        return error.into();
    }
    anyhow::anyhow!("no map holds {asked:?}; did you mean {}?", near.join(" or "))
}
