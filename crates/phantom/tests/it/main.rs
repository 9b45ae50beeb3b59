//! One test binary: links are slow.
#![allow(clippy::unwrap_used)] // a panic in a test's own tools is its failure report too

mod measured;
mod pair;
mod planted;
mod scanned;
mod shaped;
