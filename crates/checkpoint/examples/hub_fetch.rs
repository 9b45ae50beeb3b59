//! Makes a checkpoint of the hub available, with the settings of the environment, and prints where it is:
//! `cargo run -p tomo-checkpoint --features hub --example hub_fetch -- org/name[@revision][:TAG]`

use std::error::Error;
use std::io::{self, Write};

use tomo_checkpoint::hub::{HubOptions, fetch};

fn main() -> Result<(), Box<dyn Error>> {
    let spec = std::env::args().nth(1).ok_or("expected org/name")?;
    let path = fetch(&spec, &HubOptions::from_env()?, &()).map_err(|e| e.to_string())?;
    Ok(writeln!(io::stdout(), "{}", path.display())?)
}
