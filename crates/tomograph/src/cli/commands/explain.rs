use std::io::Write;

use anyhow::bail;
use serde_json::json;

use super::{Context, Exit};
use crate::cli::topics::{self, Topic};

/// Explain a metric, family, output format, normalisation, number format, edit or client by its id
#[derive(clap::Args)]
pub(crate) struct Args {
    /// An id that `list` shows
    id: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let found: Vec<Topic> = topics::all().into_iter().filter(|t| t.id == self.id).collect();
        if found.is_empty() {
            let near = topics::near(&self.id);
            let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
            bail!("nothing is called {:?}{hint} (tomograph list metrics shows the metrics)", self.id);
        }
        let out = &mut context.streams.out;
        if self.json {
            let rows: Vec<_> = found
                .iter()
                .map(|t| json!({ "id": t.id, "kind": t.kind, "summary": t.summary, "manual": t.manual, "details": t.details }))
                .collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
            return Ok(Exit::Success);
        }
        for (i, topic) in found.iter().enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            writeln!(out, "{} ({})\n\n{}", topic.id, topic.kind, topic.manual.trim_end())?;
        }
        Ok(Exit::Success)
    }
}
