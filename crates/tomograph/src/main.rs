//! The program; everything it does is in the library.

use std::process::ExitCode;

use tomograph::cli::{Streams, run_from};

fn main() -> ExitCode {
    let mut streams = Streams::of_process();
    ExitCode::from(run_from(std::env::args_os(), &mut streams).code())
}
