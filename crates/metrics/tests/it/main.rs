//! Tests of the metrics: planted matrices, equations over the registry, values computed elsewhere, the runner.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod activations;
mod adapters;
mod causal;
mod conformance;
mod delta;
mod engine;
mod exhaustive;
mod gradient_sums;
mod gradients;
mod imatrix;
mod linear;
mod own;
mod planted;
mod power_law;
mod predicted;
mod racing;
mod runner;
mod selection;
mod support;
mod taps;
