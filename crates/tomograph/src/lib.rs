//! Tomograph scans a language model layer by layer and shows which parts carry the value.
//!
//! This crate is the facade: [`scan`] goes from a path to a [`Map`], and [`cli`] is the command line over it. The parts
//! are usable alone: [`checkpoint`], [`text`], [`model`],
//! [`metrics`], [`map`], [`render`], [`quant`], [`verify`].
//!
//! ```no_run
//! use tomograph::scan::{Request, Silent, scan};
//!
//! let map = scan(&Request::new("path/to/model").metrics("rms,stable-rank")?, &Silent)?;
//! println!("{} cells", map.grid.cells.len());
//! # Ok::<(), anyhow::Error>(())
//! ```

mod adapter;
pub mod agreement_file;
pub mod answers;
pub mod cli;
mod comparison;
pub mod draws_file;
mod forward;
mod kept_file;
pub mod measure;
pub mod measured_file;
pub mod parts;
pub mod planning;
pub mod proof;
pub mod proof_file;
mod provenance;
pub mod quantize;
pub mod refined;
mod request;
mod reverse;
pub mod run;
pub mod scan;

pub use adapter::AdapterScan;
pub use cli::embed;
pub use reverse::PlannedPass;
pub use tomo_checkpoint as checkpoint;
pub use tomo_map as map;
pub use tomo_map::Map;
pub use tomo_metrics as metrics;
pub use tomo_model as model;
pub use tomo_plan as plan;
pub use tomo_quant as quant;
pub use tomo_render as render;
pub use tomo_text as text;
pub use tomo_verify as verify;
