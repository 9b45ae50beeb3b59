use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use crate::error::quoted;
use crate::{CellId, Component, Map, MapError, MapErrorKind as Kind, Score, Status};

/// The columns of `map.csv`, in this order.
pub const CSV_HEADER: [&str; 10] =
    ["layer", "component", "expert", "metric", "value", "ci_low", "ci_high", "numel", "status", "reason"];

/// A line of `map.csv`, its fields in the order of [`CSV_HEADER`].
#[derive(Serialize, Deserialize)]
struct Line<T> {
    layer: u32,
    component: Component,
    expert: Option<u32>,
    metric: T,
    value: Option<f64>,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    numel: u64,
    status: Status,
    reason: T,
}

/// A line of `map.csv`: one cell under one metric.
#[derive(Clone, PartialEq, Debug)]
pub struct CsvRow {
    /// The cell.
    pub id: CellId,
    /// Id of the metric.
    pub metric: String,
    /// Its score.
    pub score: Score,
    /// Weights of the cell.
    pub numel: u64,
}

/// Writes `map.csv`: tidy, one row per metric and cell, metrics in the map's order. A cell without a value has empty
/// number fields, a status and a reason. Numbers are printed so that reading gives the same bits.
///
/// # Errors
/// [`MapErrorKind::Output`](Kind::Output) if `output` fails, any other kind if the map is not valid
/// ([`Map::validate`]).
pub fn write_csv(map: &Map, output: impl Write) -> Result<(), MapError> {
    map.validate()?;
    let failed = |e: csv::Error| MapError::new(Kind::Output, "map.csv", "an output that takes it", e.to_string());
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(output);
    writer.write_record(CSV_HEADER).map_err(failed)?;
    for column in &map.columns {
        for (cell, score) in map.grid.cells.iter().zip(&column.scores) {
            let line = Line {
                layer: cell.id.layer,
                component: cell.id.component,
                expert: cell.id.expert,
                metric: column.info.id.as_ref(),
                value: score.value(),
                ci_low: score.interval().map(|i| i.0),
                ci_high: score.interval().map(|i| i.1),
                numel: cell.numel(),
                status: score.status(),
                reason: score.reason().unwrap_or_default(),
            };
            writer.serialize(line).map_err(failed)?;
        }
    }
    writer.flush().map_err(|e| failed(e.into()))
}

/// Reads the rows of `map.csv`. The table holds scores only; the rest of a map is in `map.json`.
///
/// # Errors
/// A [`MapError`] with the line: another header, a field that is wrong, a number that is not finite.
pub fn read_csv(input: impl Read) -> Result<Vec<CsvRow>, MapError> {
    let mut reader = csv::Reader::from_reader(input);
    let header = reader.headers().map_err(|e| from_csv(&e, 1))?;
    if header.iter().ne(CSV_HEADER) {
        let found = quoted(&header.iter().collect::<Vec<_>>().join(","));
        return Err(MapError::new(Kind::Schema, "line 1", CSV_HEADER.join(","), found));
    }
    let mut rows = Vec::new();
    for (line, number) in reader.deserialize().zip(2u64..) {
        rows.push(row_from_line(line.map_err(|e| from_csv(&e, number))?, number)?);
    }
    Ok(rows)
}

fn row_from_line(line: Line<String>, number: u64) -> Result<CsvRow, MapError> {
    let wrong = |expected: &str, found: String| MapError::new(Kind::Number, format!("row {number}"), expected, found);
    let score = match (line.status, line.value) {
        (Status::Ok, Some(value)) if value.is_finite() && line.reason.is_empty() => Score::from_value(value),
        (Status::Ok, Some(value)) if value.is_finite() => Score::from_value(value).with_caveat(line.reason),
        (Status::Ok, value) => return Err(wrong("a finite value with status ok", format!("{value:?}"))),
        (status, None) => Score::missing(status, line.reason),
        (_, Some(value)) => return Err(wrong("no value with a status other than ok", value.to_string())),
    };
    let score = match (line.ci_low, line.ci_high) {
        (None, None) => score,
        (Some(low), Some(high)) => {
            let with = score.with_interval(low, high);
            if with.interval().is_none() {
                return Err(wrong("a finite interval of a value, low before high", format!("[{low}, {high}]")));
            }
            with
        }
        (low, high) => return Err(wrong("both ends of an interval", format!("{low:?} and {high:?}"))),
    };
    let id = CellId { layer: line.layer, component: line.component, expert: line.expert };
    Ok(CsvRow { id, metric: line.metric, score, numel: line.numel })
}

fn from_csv(error: &csv::Error, row: u64) -> MapError {
    let place = error.position().map_or(format!("row {row}"), |p| format!("line {}", p.line()));
    MapError::new(Kind::Syntax, place, "a row of map.csv", quoted(&error.to_string()))
}
