//! How a map is kept: `map.json` holds all of it, `map.csv` is the same scores as a tidy table.

mod csv;
mod json;

pub use csv::{CSV_HEADER, CsvRow, read_csv, write_csv};
pub use json::{SCHEMA, json_lines, read_json, write_json};
