//! What tests of several crates need: comparisons that fail on NaN, a checkpoint in memory, tiny maps.
//!
//! ```
//! use tomo_testkit::{Within, assert_close};
//!
//! assert_close(&[1.0, 2.0][..], &[1.0, 2.0 + 1e-9][..], Within::Relative(1e-6));
//! assert!(std::panic::catch_unwind(|| assert_close(f64::NAN, f64::NAN, Within::Absolute(1.0))).is_err());
//! ```
//!
//! A dev-dependency only, held by the walls test of this crate. It panics where others return errors: a panic is how a test
//! fails. Unit tests *inside* `tomo-map` or `tomo-checkpoint` cannot use the builders, since cargo compiles such a crate a
//! second time for them and the types differ; tests under `tests/` can.

mod close;
mod map;
mod source;

pub use close::{Mismatch, Numbers, Within, assert_close, compare};
pub use map::{ScoreOf, metric_info, tiny_grid, tiny_map};
pub use source::{LlamaDims, MemorySource, llama_source};
