use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use tomo_map::{Map, Normalisation};
use tomo_render::{Format, Options, Origin, Palette, Span, Style};

use super::{Context, files};

/// How pictures look; the same words on every command that draws.
#[derive(clap::Args)]
pub(crate) struct Look {
    /// How scores are made comparable (see: list normalisations) [default: the one that suits the metric]
    #[arg(long, visible_alias = "normalize", value_name = "ID", value_parser = normalisation)]
    normalise: Option<&'static Normalisation>,

    /// Where layer 0 is
    #[arg(long, value_enum, default_value_t = Corner::Bottom)]
    origin: Corner,

    /// Colours
    #[arg(long, value_enum, default_value_t = Colours::Auto)]
    palette: Colours,

    /// Colour the full range, and not only the 2nd to the 98th percentile
    #[arg(long)]
    full_range: bool,
}

/// Where layer 0 is.
#[derive(Clone, Copy, ValueEnum)]
enum Corner {
    Bottom,
    Top,
}

fn normalisation(id: &str) -> Result<&'static Normalisation, String> {
    Normalisation::by_id(id).ok_or_else(|| {
        let known: Vec<&str> = tomo_map::NORMALISATIONS.iter().map(|n| n.id).collect();
        format!("expected one of {}", known.join(" "))
    })
}
