//! `csv`: all scores as a tidy table, one row per cell and metric, for spreadsheets, pandas and R.
//!
//! Columns `layer,component,expert,metric,value,ci_low,ci_high,numel,status,reason`. A missing score has an empty value, a status
//! and a reason, never 0. Experts of a mixture have a row each.

use tomo_map::Map;

use super::{Format, Options, Writer};
use crate::RenderError;

pub(super) static FORMAT: Format = Format {
    id: "csv",
    extensions: &["csv"],
    summary: "all scores as a tidy table",
    source: include_str!("csv.rs"),
    writer: Writer::Document(write),
};

fn write(map: &Map, _: &Options) -> Result<Vec<u8>, RenderError> {
    let mut out = Vec::new();
    tomo_map::write_csv(map, &mut out).map_err(|e| RenderError::library("writing csv", e))?;
    Ok(out)
}
