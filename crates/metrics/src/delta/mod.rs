//! What training changed: two states of every cell, before and after, and the facts that metrics of the difference share.
//!
//! W0 is the base's matrix, W1 the tuned one's, dW = W1 - W0. Everything linear comes from one sweep over both
//! ([`PairSums`]), block by block, without a matrix in memory; what needs a decomposition asks for matrices, two at a time.
//! [`Pairs`] is the seam: whoever knows two states of a grid's cells (two checkpoints, a base and an adapter) implements it.

mod adapter;
mod cast;
mod dense;
mod facts;
mod low_rank;
mod models;
mod norms;
mod pairs;
mod scan;
mod stream;
mod sums;

pub use adapter::AdapterPairs;
pub use cast::Cast;
pub use facts::{DeltaFacts, DeltaNeeds, Known, Principal};
pub use models::{ModelPairs, PairError};
pub use norms::norm_gain_drift;
pub use pairs::{Pair, Pairs, StoredCell};
pub use scan::scan_delta;
pub use sums::{ChangeSums, PairSums};
pub use tomo_model::Factors;
