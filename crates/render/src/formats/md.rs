//! `md`: the report in words, computed from the numbers.
//!
//! What was measured and how, the columns with their ranges and where along depth they change, the layers that stand out,
//! the strongest contrasts between components, and what cannot be said. Every sentence is a claim that is checked against the
//! table; read it beside the pictures. Markdown as GitHub renders it.

use tomo_map::Map;

use super::{Format, Options, Writer};
use crate::{RenderError, report};

pub(super) static FORMAT: Format = Format {
    id: "md",
    extensions: &["md", "markdown"],
    summary: "the report in words, as Markdown",
    source: include_str!("md.rs"),
    writer: Writer::Document(write),
};

fn write(map: &Map, _: &Options) -> Result<Vec<u8>, RenderError> {
    Ok(report::markdown(map).into_bytes())
}
