use std::path::PathBuf;

use anyhow::Context as _;

use super::{Context, Exit};

/// Print the manual page, or write those of all commands to a folder
///
/// Read it with: tomograph man | man -l -
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write tomograph.1 and one page per command here
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let tree = crate::cli::command_tree();
        if let Some(folder) = self.out {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            clap_mangen::generate_to(tree, &folder)
                .with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
        } else {
            clap_mangen::Man::new(tree).render(&mut context.streams.out)?;
        }
        Ok(Exit::Success)
    }
}
