//! Model families: which tensor, or which part of one, is which cell.
//!
//! [`Model::open`] recognises the family of a [`tomo_checkpoint::Source`] and resolves its cells; [`Model::load`] decodes
//! one cell to a row-major f32 matrix `out x in`, whatever the checkpoint did to it (fused, transposed, interleaved,
//! one slice of a stack of experts).

mod model;

pub use model::{CellSource, Model, ModelError, Storage};
