//! Integration tests of the model crate.

mod families;
mod files;
mod gguf;
mod loading;
mod overrides;
mod refusals;
mod source;
