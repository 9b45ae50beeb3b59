//! Writes the phantom, or the pair of checkpoints: `cargo run -p tomo-phantom --example phantom -- [pair] DIR [SEED]
//! [FACT-TO-LEAVE-OUT...]`

use std::io;
use std::path::PathBuf;

use tomo_phantom::{Plan, write_pair_with, write_with};

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1).peekable();
    let pair = args.next_if(|word| word == "pair").is_some();
    let dir: PathBuf = args.next().ok_or_else(|| io::Error::other("expected a folder"))?.into();
    let seed = args.next().map_or(Ok(0), |s| s.parse()).map_err(io::Error::other)?;
    let plan = args.fold(Plan::default(), |plan, id| plan.without(&id));
    if pair { write_pair_with(&dir, seed, &plan).map(|_| ()) } else { write_with(&dir, seed, &plan).map(|_| ()) }
}
