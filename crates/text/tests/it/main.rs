//! Tests of the crate as its users see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test reports failure")]

mod checkpoints;
mod fixture;
mod hostile;
mod texts;
mod tokens;
mod vocabularies;
mod windows;
