use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;
use tomo_map::Component;
use tomo_model::Model;

use super::model_args::{ModelArgs, open};
use super::{Context, Exit};
use crate::cli::numbers::{bytes, count, seconds};
use crate::scan;

/// Say what a model is and what scanning it will cost, without reading its weights
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Metrics whose cost is wanted
    #[arg(long, value_name = "ID|FAMILY,…", default_value = "all")]
    metric: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let request = self.model.request(context)?.metrics(&self.metric)?;
        let model = open(&request)?;
        let cost = scan::cost(&model, &request)?;
        let found = Findings::of(&model)?;
        let out = &mut context.streams.out;
        if self.json {
            let value = found.as_json(&model, &cost);
            writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
        } else {
            found.print(&model, &cost, &self.metric, out)?;
        }
        Ok(Exit::Success)
    }
}
