//! Changes to a model as a small language: which cells, and what is done to them.
//!
//! `L12.mlp.down=int3` rounds one cell to three bits, `attn.v=zero` silences a column, `all=int3; L5=restored` leaves layer 5 as
//! it was and rounds the rest. [`Changes`] is the text, [`EditContext`] makes an [`engine::Variant`](crate::engine::Variant) of
//! it that [`Engine::compare`](crate::engine::Engine::compare) runs beside the model as it is. Every kind of edit is one file under
//! `edits/` and one line of [`EDITS`]; the file's header is its manual.

mod edits;
mod error;
mod list;
mod means;
mod shared;

pub use edits::{Defaults, EDITS, Edit, EditContext, EditKind, Made, Quantization, Rank};
pub use error::ChangeError;
pub use list::{Changes, Entry, MadeVariant, Note};
pub use means::{MeanOutput, Means};
pub use shared::Shared;
pub use tomo_map::Selection;
