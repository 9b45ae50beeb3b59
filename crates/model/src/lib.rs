//! Model families: which tensor, or which part of one, is which cell.
//!
//! [`Model::open`] recognises the family of a [`tomo_checkpoint::Source`] and resolves its cells; [`Model::load`]
//! decodes one cell to a row-major f32 matrix `out x in`, whatever the checkpoint did to it (fused, transposed,
//! interleaved, one slice of a stack of experts, rows in the order of another rotary kernel).
//!
//! [`change`] is the language of changes to a model.
//!
//! Families are data: one file each in `arch/`, listed in [`FAMILIES`]. The crate knows no metrics and no container
//! formats.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tomo_model::{Model, ModelError, OpenOptions};
//!
//! fn largest(source: Arc<dyn tomo_checkpoint::Source>) -> Result<(), ModelError> {
//!     let model = Model::open(source, &OpenOptions::default())?;
//!     let mut weights = Vec::new();
//!     for (index, cell) in model.grid().cells.iter().enumerate() {
//!         model.load(index, &mut weights)?;
//!         assert_eq!(weights.len() as u64, cell.out_features * cell.in_features);
//!         model.release(index);
//!     }
//!     Ok(())
//! }
//! ```

mod adapter;
mod arch;
pub mod architecture;
mod cell;
pub mod change;
mod config;
mod counter;
mod dims;
pub mod engine;
mod error;
mod family;
mod inventory;
mod listing;
mod load;
mod model;
mod names;
mod open;
mod overrides;
mod pattern;
mod place;
mod resolve;
mod runs;

pub use adapter::{Adapter, AdapterConfig, Change, Changes, FactorSource, Factors, OffGrid, Product};
pub use arch::FAMILIES;
pub use cell::{CellSource, Storage};
pub use dims::Dims;
pub use error::ModelError;
pub use family::{CellRule, Dialect, DimFrom, DimKeys, Family, NormPlace, OtherRule, Part, Role};
pub use listing::{Listing, NamePattern};
pub use load::first_not_finite;
pub use model::{Model, NormTensor, OpenOptions, OtherTensor};
pub use overrides::CellOverride;
pub use runs::{EntryOrder, Runs};
