//! Integration tests of the model crate.

// The lint settings know test functions, not the functions those share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adapter_refusals;
mod adapters;
mod architecture;
mod architecture_gguf;
mod architecture_refusals;
mod architecture_rope;
mod changes;
mod compare;
mod families;
mod files;
mod gguf;
mod gradients;
mod loading;
mod overrides;
mod parity;
mod recorder;
mod refusals;
mod source;
