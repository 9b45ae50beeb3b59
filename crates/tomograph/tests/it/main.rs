//! The program as its users meet it: one binary, one module per command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod demo;
mod errors;
mod harness;
mod help;
mod map_and_show;
