use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tomo_checkpoint::hub::{self, HubOptions};
use tomo_checkpoint::store;
use tomo_model::{CellOverride, Model};

use super::Context;
use crate::cli::progress::Download;
use crate::scan::{self, Request};

/// How a command is told which model to read and how.
#[derive(clap::Args)]
pub(crate) struct ModelArgs {
    /// A folder with config.json and safetensors, a .safetensors or .gguf file, a PEFT adapter's folder (map, inspect), or
    /// a hub name (org/name, org/name@revision, org/name:Q4_K_M, org/name/file.gguf), or an address: s3://bucket/folder, gs://,
    /// az://, https://
    #[arg(value_name = "MODEL")]
    model: String,

    /// Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    #[arg(long = "cell", value_name = "COMPONENT=PATTERN")]
    cells: Vec<CellOverride>,

    /// Group size of the simulated integer formats, along the input dimension
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    group: u32,

    /// Seed of everything random (the baselines of random matrices)
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
}

impl ModelArgs {
    /// The model as it was named.
    pub(super) fn name(&self) -> &str {
        &self.model
    }

    /// The scan of `metrics` that was asked for. Names are checked before anything is read or fetched.
    pub(super) fn request(&self, metrics: &str, context: &mut Context<'_>) -> anyhow::Result<Request> {
        let mut request = Request::new("").metrics(metrics)?;
        request.path = locate(&self.model, context)?;
        request.name = store::without_secrets(&self.model);
        request.cells.clone_from(&self.cells);
        request.options.group = usize::try_from(self.group)?;
        request.options.seed = self.seed;
        request.threads = self.threads.map(usize::try_from).transpose()?;
        request.cache = cache_folder();
        request.command.clone_from(&context.typed);
        Ok(request)
    }
}

/// Where the model that is called `name` is: on disk, a hub name being fetched into the hub's own cache; or the address itself,
/// which is read by ranges.
pub(in crate::cli) fn locate(name: &str, context: &mut Context<'_>) -> anyhow::Result<PathBuf> {
    if store::is_address(Path::new(name)) {
        return Ok(PathBuf::from(name));
    }
    // `models/llama.gguf` beside a folder `models` is a path with a typing error, not a repository.
    let parent_exists = Path::new(name).parent().is_some_and(|p| !p.as_os_str().is_empty() && p.exists());
    if parent_exists || !hub::is_repo_id(name) {
        return Ok(PathBuf::from(name));
    }
    context.streams.listen();
    let download = Download::new(context.streams);
    let fetched = hub::fetch(name, &HubOptions::from_env()?, &download);
    for note in download.finish() {
        writeln!(context.streams.err, "note: {note}")?;
    }
    fetched.with_context(|| format!("no file or folder is called {name:?}, and it could not be had from the hub"))
}

/// Opens the model of `request`.
pub(super) fn open(request: &Request) -> anyhow::Result<Model> {
    scan::open_requested(request)
}

/// `$XDG_CACHE_HOME/tomograph`, or `~/.cache/tomograph`; none where the environment names no home.
fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").filter(|p| p.is_absolute()).or_else(|| set("HOME").map(|h| h.join(".cache")))?;
    Some(base.join("tomograph"))
}
