//! One file per command: its arguments, and what it does.

mod agree;
mod completions;
mod demo;
mod diff;
mod explain;
mod imatrix;
mod inspect;
mod inspect_adapter;
mod list;
mod man;
mod map;
mod map_args;
mod measure;
mod merge;
mod model_args;
mod perplexity;
mod plan;
mod quantize;
mod run_args;
mod show;
mod verify;

use clap::Subcommand;

use super::{Context, Exit};

pub(super) use map::{Args as MapArgs, kept_files};
pub(super) use model_args::locate;

/// The verbs, in the order of the help.
#[derive(Subcommand)]
pub(super) enum Command {
    Map(map::Args),
    Merge(merge::Args),
    Show(show::Args),
    Agree(agree::Args),
    Diff(diff::Args),
    Plan(plan::Args),
    Verify(verify::Args),
    Quantize(quantize::Args),
    Measure(measure::Args),
    Perplexity(perplexity::Args),
    Imatrix(imatrix::Args),
    Inspect(inspect::Args),
    List(list::Args),
    Explain(explain::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        match self {
            Self::Map(args) => args.run(context),
            Self::Merge(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::Agree(args) => args.run(context),
            Self::Diff(args) => args.run(context),
            Self::Plan(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::Quantize(args) => args.run(context),
            Self::Measure(args) => args.run(context),
            Self::Perplexity(args) => args.run(context),
            Self::Imatrix(args) => args.run(context),
            Self::Inspect(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Explain(args) => args.run(context),
            Self::Demo(args) => args.run(context),
            Self::Completions(args) => args.run(context),
            Self::Man(args) => args.run(context),
        }
    }
}
