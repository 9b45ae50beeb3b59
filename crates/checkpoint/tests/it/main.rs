//! Tests of the crate as its users see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test reports failure")]

mod adapters;
mod allocations;
mod decode;
mod digest;
mod hostile;
mod positive;
mod round_trip;
mod samples;
mod stored_metadata;
mod writing;
