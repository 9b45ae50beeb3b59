//! `json`: the map itself, with descriptions of its metrics and its provenance.
//!
//! Schema `tomograph.map/1`, valid JSON without NaN or Infinity. It is the artefact every other output is made from, and the
//! one to keep: `tomograph show` draws it again at any time.

use tomo_map::Map;

use super::{Format, Options, Writer};
use crate::RenderError;

pub(super) static FORMAT: Format = Format {
    id: "json",
    extensions: &["json"],
    summary: "the whole map, for programs and for keeping",
    source: include_str!("json.rs"),
    writer: Writer::Document(write),
};

fn write(map: &Map, _: &Options) -> Result<Vec<u8>, RenderError> {
    let mut out = Vec::new();
    tomo_map::write_json(map, &mut out).map_err(|e| RenderError::library("writing json", e))?;
    Ok(out)
}
