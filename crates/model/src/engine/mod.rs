//! Runs a model on token ids, block by block, and hands out what observers ask for.

mod ops;
mod tap;

pub use tap::{CellWeights, Observer, Port, Rows, Seen, Tap};
