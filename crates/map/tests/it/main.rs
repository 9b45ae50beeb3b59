//! Tests of the map's public surface.

// A panic in a test's helper is the failure report, as in the test itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agreement;
mod bootstrap;
mod csv;
mod difference;
mod json;
mod normalise;
mod number;
mod ranking;
mod samples;
mod stats;
mod view;
