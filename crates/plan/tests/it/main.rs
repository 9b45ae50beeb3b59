//! Everything that is held against this crate, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod adapt;
mod ask;
mod baseline;
mod bits;
mod clients;
mod cost;
mod knapsack;
mod model;
mod plan;
mod rules;
mod samples;
