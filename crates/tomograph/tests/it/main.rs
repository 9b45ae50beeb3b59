//! The program as its users meet it: one binary, one module per command.

mod harness;
mod demo;
mod errors;
mod help;
mod map_and_show;
