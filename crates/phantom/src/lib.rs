//! The phantom: a small generated checkpoint with planted, known structure, as scanners are calibrated with phantoms.
//!
//! [`write()`] makes a 28-layer llama-family Hugging Face folder of about 2 MB, the same bits for the same seed. What is
//! planted in it is listed by [`facts`]: each [`Fact`] has a sentence and a check that reads nothing but a
//! [`tomo_map::Map`], so whoever scans the folder can say which facts the scan recovered. [`write_with`] leaves facts out,
//! so that a test can see their checks fail.
//!
//! ```
//! let dir = std::env::temp_dir().join("tomo-phantom-doctest");
//! let phantom = tomo_phantom::write(&dir, 0)?;
//! assert!(phantom.dir.join("model.safetensors").exists());
//! for fact in tomo_phantom::facts() {
//!     assert!(!fact.sentence.is_empty());
//! }
//! # std::fs::remove_dir_all(&dir)
//! # ; Ok::<(), std::io::Error>(())
//! ```
//!
//! [`write_pair`] makes two checkpoints, before and after a small tuning, whose update density is the project's reference
//! figure; [`pair_facts`] says so.
//!
//! [`write_shaped`] streams random checkpoints of any size to disk, for tests of memory and speed; nothing is planted there.
//!
//! This crate knows maps, because facts are read from them. It knows no metrics and no readers of checkpoints: it must not
//! share code with what it calibrates.

mod cells;
mod draw;
mod facts;
mod pair;
mod plan;
mod shaped;
mod write;

pub use cells::{FFN, HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, VOCAB};
pub use facts::{Fact, Outcome, facts, pair_facts};
pub use pair::{Pair, write_pair, write_pair_with};
pub use plan::Plan;
pub use shaped::{Shape, ShapedDType, write_nudged, write_shaped};
pub use write::{Phantom, write, write_with};
