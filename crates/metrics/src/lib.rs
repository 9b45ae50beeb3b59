//! Importance metrics, one file each, and the runner that shares their work.
//!
//! A metric file holds its manual (the `//!` header), its [`Metric`] entry and the function that computes it from the
//! [`Facts`] of a cell. Facts are expensive things several metrics need (power sums, singular values, quantization
//! errors); each is computed at most once per cell.

mod catalogue;
mod cost;
mod facts;
mod metric;
mod moments;
mod null;
mod null_table;
mod order_statistics;
mod power_law;
mod quantization_error;
mod runner;
mod schedule;
mod select;
mod spectrum;

pub use catalogue::METRICS;
pub use cost::{Cost, cost};
pub use facts::{Facts, Matrix, Moments};
pub use metric::{Kind, Metric, Needs, Options};
pub use runner::{DEFAULT_MEMORY_BYTES, Progress, Request, ScanError, scan};
pub use select::{Selected, UnknownMetric, near_names, select};
pub use spectrum::Workspace;
