use clap_complete::Shell;

use super::{Context, Exit};

/// Print the completion script of a shell
///
/// For bash: tomograph completions bash > ~/.local/share/bash-completion/completions/tomograph
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        // clap_complete panics when its writer fails, so it writes to memory and we to the stream.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::command_tree(), "tomograph", &mut script);
        context.streams.out.write_all(&script)?;
        Ok(Exit::Success)
    }
}
