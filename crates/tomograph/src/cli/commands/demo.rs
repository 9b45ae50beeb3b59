use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;

use super::map::{scan_with_progress, summary};
use super::{Context, Exit};
use crate::cli::output::Look;
use crate::scan::Request;

/// Make a phantom (a small checkpoint with planted structure), scan it, and say what the scan found again
///
/// As a scanner is calibrated with a body of known insides, so is this one: the demo generates a 28-layer model in which
/// it hid structure, scans it like any other model, and checks the map against what it planted.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seed of the phantom
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Folder for the phantom and the results
    #[arg(long, value_name = "DIR", default_value = "tomograph-demo")]
    out: PathBuf,

    #[command(flatten)]
    look: Look,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let folder = self.out.join("phantom");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        tomo_phantom::write(&folder, self.seed).with_context(|| format!("cannot write {}", folder.display()))?;

        let mut request = Request::new(&folder).metrics("all,spectrum@null")?;
        request.name = "phantom".to_owned();
        request.command.clone_from(&context.typed);
        let map = scan_with_progress(&request, None, context)?.map;
        self.look.write_all(&map, &self.out)?;
        self.look.print(&map, None, context)?;

        let out = &mut context.streams.out;
        writeln!(out, "\nWhat was planted, and what the scan found of it:")?;
        let mut missed = 0;
        for fact in tomo_phantom::facts() {
            let outcome = fact.check(&map);
            let mark = if outcome.recovered { "found " } else { "MISSED" };
            missed += usize::from(!outcome.recovered);
            writeln!(out, "  {mark}  {}\n          {}", fact.sentence, outcome.evidence)?;
        }
        let exit = summary(&map, &self.out, context)?;
        Ok(if missed > 0 && exit == Exit::Success { Exit::Failure } else { exit })
    }
}
