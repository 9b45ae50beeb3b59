//! The layer x component map: what a scan knows, as data.
//!
//! A [`Map`] is a table: one row per [`Cell`] (a weight matrix of one layer), one column per metric, each entry a
//! [`Score`]. This crate holds the words ([`Component`], [`CellId`]), the descriptions of metrics ([`MetricInfo`]), the
//! provenance, the codecs (`map.json`, `map.csv`) and the normalisations.
//!
//! It knows no tensors, no clock and no network: everything in a map was handed to it.

mod cell;
mod component;
mod metric;
mod score;
mod table;

pub use cell::{Cell, CellId, Grid, MissingColumn};
pub use component::{Component, UnknownComponent};
pub use metric::{Additivity, Direction, Meaning, MetricInfo, Scope};
pub use score::{Score, Status};
pub use table::{Column, Map, Provenance};
