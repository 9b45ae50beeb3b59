//! The program as its users meet it: one binary, one module per command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::print_stderr, reason = "the table of deviations is for whoever runs the comparison")]

mod adapters;
mod agree;
mod causal;
mod changes_real;
mod delta;
mod demo;
mod demo_model;
mod demo_program;
mod diff;
mod embed;
mod errors;
mod golden;
mod golden_delta;
mod golden_same_map;
mod golden_storage;
mod gradients;
mod harness;
mod help;
mod map_and_show;
mod measure;
mod parts;
mod plan;
mod plan_files;
mod quantize;
mod quantize_refused;
mod real_model;
mod running;
mod verify;
