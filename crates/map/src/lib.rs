//! The layer x component map: what a scan knows, as data.
//!
//! A [`Map`] is a table: one row per [`Cell`] (a weight matrix of one layer), one column per metric, each entry a
//! [`Score`]. This crate holds the words ([`Component`], [`CellId`]), the descriptions of metrics ([`MetricInfo`]), the
//! provenance, the codecs (`map.json`, `map.csv`), the normalisations and the [`View`] that pictures and reports read.
//!
//! It knows no tensors, no clock and no network: everything in a map was handed to it.

mod cell;
mod codec;
mod component;
mod difference;
mod error;
mod inventory;
mod manual;
mod measurement;
mod metric;
mod near;
mod normalise;
mod number;
mod ranking;
mod score;
mod selection;
pub mod stats;
mod table;
mod validate;
mod view;

pub use cell::{Cell, CellId, Grid, MissingColumn};
pub use codec::{CSV_HEADER, CsvRow, SCHEMA, json_lines, read_csv, read_json, write_csv, write_json};
pub use component::{Component, UnknownComponent};
pub use difference::{
    Comparison, DIFFERENCE, DifferenceError, Mover, Movers, RankCorrelation, RankedScore, Side, Sides, Tendency, Unlike,
};
pub use error::{MapError, MapErrorKind};
pub use inventory::{GgufHeader, Inventory, Names, OtherTensor};
pub use manual::manual;
pub use measurement::{Measurement, Raced, SelfAgreement};
pub use metric::{Additivity, Direction, Meaning, MetricInfo, Scope};
pub use near::near_names;
pub use normalise::{NORMALISATIONS, Normalisation, ViewError};
pub use number::{significant, significant_apart};
pub use ranking::{Profile, RankedPlace, Ranking};
pub use score::{Score, Status};
pub use selection::{Selection, SelectionError};
pub use table::{Against, Beside, BesideRow, Column, Map, Provenance};
pub use view::{Absence, Place, Reading, View};
