//! The program as its users meet it: one binary, one module per command.

mod demo;
mod errors;
mod harness;
mod help;
mod map_and_show;
