use std::io::Write;

use clap::ValueEnum;
use serde_json::json;

use super::{Context, Exit};
use crate::cli::topics::{self, Topic};

/// List what there is: metrics, families of models, output formats, normalisations, number formats, edits, clients
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which list
    #[arg(value_enum)]
    what: What,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// What can be measured
    Metrics,
    /// Which models are understood
    Families,
    /// What a map can be drawn as
    Formats,
    /// How scores can be made comparable
    Normalisations,
    /// Number formats whose error is simulated
    Quantizations,
    /// What can be done to a cell
    Edits,
    /// Programs that act on plans
    Clients,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let topics = match self.what {
            What::Metrics => topics::metrics(),
            What::Families => topics::families(),
            What::Formats => topics::outputs(),
            What::Normalisations => topics::normalisations(),
            What::Quantizations => topics::quantizations(),
            What::Edits => topics::edits(),
            What::Clients => topics::clients(),
        };
        let out = &mut context.streams.out;
        if self.json {
            let rows: Vec<_> = topics.iter().map(as_json).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
            return Ok(Exit::Success);
        }
        let width = topics.iter().map(|t| t.id.len()).max().unwrap_or(0);
        let mut group = "";
        for topic in &topics {
            if topic.group != group {
                group = topic.group;
                writeln!(out, "{group}")?;
            }
            let room = context.streams.terminal.width.saturating_sub(width + 4).max(20);
            let mut lines = textwrap::wrap(topic.summary.trim_end_matches('.'), room).into_iter();
            writeln!(out, "  {:width$}  {}", topic.id, lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(out, "  {:width$}  {line}", "")?;
            }
        }
        if matches!(self.what, What::Metrics) {
            let all = "err-FORMAT, quant-taylor-FORMAT, predicted-kl-FORMAT and quant-kl-FORMAT are there for every number format, by id: err-q6_k.";
            writeln!(out, "\n{all}")?;
        }
        writeln!(out, "\ntomograph explain ID tells more of any of them.")?;
        Ok(Exit::Success)
    }
}

fn as_json(topic: &Topic) -> serde_json::Value {
    let mut row = json!({ "id": topic.id, "group": topic.group, "summary": topic.summary });
    if let (Some(row), serde_json::Value::Object(details)) = (row.as_object_mut(), &topic.details) {
        row.extend(details.clone());
    }
    row
}
