//! Agreement of made-up maps whose answer is known.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod agreement;
mod controls;
mod made_up;
mod measured;
mod proof;
mod refine;
mod refusals;
