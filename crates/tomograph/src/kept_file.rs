//! What the files that are kept beside a map have in common: where their numbers are from, and a list of metrics.

use std::io::Write;

use serde_json::{Value, json};

/// Writes `metrics` with the schema of the file and what ties it to its map.
///
/// # Errors
/// When `out` fails.
pub(crate) fn write_json(
    schema: &str,
    seed: u64,
    (model_digest, text_digest): (&str, &str),
    metrics: Vec<Value>,
    out: impl Write,
) -> std::io::Result<()> {
    let whole = json!({
        "schema": schema,
        "seed": seed,
        "model_digest": model_digest,
        "text_digest": text_digest,
        "metrics": metrics,
    });
    Ok(serde_json::to_writer(out, &whole)?)
}
