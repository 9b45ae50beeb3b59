//! Where a map comes from, put down while it is made.

use std::time::SystemTime;

use anyhow::Context;
use tomo_map::Provenance;
use tomo_model::Model;

use crate::request::Request;
use crate::run::Run;

/// What of the provenance the text decides; of a scan that reads an imatrix as well, both are named.
pub(crate) fn of_text(run: &Run, before: Provenance) -> Provenance {
    let text = run.windows.description.clone();
    Provenance {
        text: Some(match before.text {
            Some(imatrix) => format!("{imatrix}; {text}"),
            None => text,
        }),
        text_digest: Some(run.windows.digest()),
        text_passages: Some(run.windows.passages().to_string()),
        tokens: Some(run.windows.tokens()),
        sequences: Some(run.windows.sequences.len() as u64),
        ..before
    }
}

/// Where a map of `model` comes from; `of_text` is what the text decided of it.
///
/// # Errors
/// A checkpoint that cannot be read any more.
pub(crate) fn provenance_of(
    model: &Model,
    request: &Request,
    started: SystemTime,
    seconds: f64,
    of_text: Provenance,
) -> anyhow::Result<Provenance> {
    let source = model.source();
    let about = Provenance {
        model_digest: source.digest().context("cannot digest the checkpoint")?,
        config_digest: tomo_checkpoint::config_digest(source.config()),
        family: model.family().to_owned(),
        format: source.format().to_string(),
        dims: model.dims().letters().into_iter().map(|(letter, n)| (letter.to_owned(), n)).collect(),
        ..of_text
    };
    Ok(provenance_of_scan(request, started, seconds, about))
}

/// `about` what was scanned, with how and when.
pub(crate) fn provenance_of_scan(
    request: &Request,
    started: SystemTime,
    seconds: f64,
    about: Provenance,
) -> Provenance {
    let name = if request.name.is_empty() { request.path.display().to_string() } else { request.name.clone() };
    Provenance {
        model: name,
        seed: request.options.seed,
        group: u64::try_from(request.options.group).ok(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: request.command.clone(),
        started: humantime::format_rfc3339_seconds(started).to_string(),
        seconds,
        peak_rss_bytes: peak_rss_bytes(),
        ..about
    }
}

/// Peak resident memory of this process, where Linux tells it.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
