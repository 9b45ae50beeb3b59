//! A PEFT adapter's folder: `adapter_config.json` and the tensors beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backing::Backing;
use crate::files::Disk;
use crate::formats::folder;
use crate::open::open_safetensors;
use crate::{Error, ErrorKind, Source, refuse};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// Weights of a whole model, or the list of their files.
const MODELS: [&str; 2] = ["model.safetensors", "model.safetensors.index.json"];

/// Bytes of `adapter_config.json` that are read; one with a rank for each of ten thousand modules stays below half of it.
const MAX_CONFIG_BYTES: u64 = 2 << 20;

const HOW_TO_CONVERT: &str = "load it once with peft and save it again: \
    PeftModel.from_pretrained(base, folder).save_pretrained(new_folder), which writes safetensors";

/// The files of an adapter, opened.
pub struct AdapterFiles {
    /// Where the configuration is.
    pub config_path: PathBuf,
    /// The configuration, as it stands in the file.
    pub config: Vec<u8>,
    /// The adapter's tensors, under PEFT's names.
    pub source: Arc<dyn Source>,
}

/// Opens the adapter at `path`: its folder, or either of the two files in it. `None` where `path` is no adapter, or not
/// there at all.
///
/// # Errors
/// A folder that holds a whole model as well; an adapter without configuration or without weights, or whose weights are a
/// pickle; files that are damaged.
pub fn open_adapter(path: &Path) -> Result<Option<AdapterFiles>, Error> {
    let Ok(found) = std::fs::metadata(path) else { return Ok(None) };
    let is_named = |name: &str| path.file_name().is_some_and(|n| n == name);
    let config = if found.is_dir() { path.join(CONFIG) } else { path.with_file_name(CONFIG) };
    if found.is_dir() {
        if !config.exists() {
            return Ok(None);
        }
        refuse_a_model_beside(path)?;
    } else if !is_named(CONFIG) && !is_named(WEIGHTS) {
        return Ok(None);
    }
    if !config.exists() {
        return Err(Error::new(ErrorKind::Missing, "the adapter has no configuration")
            .in_file(path)
            .expected(format!("{CONFIG} in the same folder"))
            .found("no such file")
            .hint("rank and alpha are in it: fetch it from where the weights came from"));
    }
    let weights = config.with_file_name(WEIGHTS);
    if !weights.exists() {
        return Err(without_weights(&config));
    }
    let source = open_safetensors(&Disk, path, &weights, Backing::map(&weights)?)?;
    let text = folder::read_text(&Disk, &config, MAX_CONFIG_BYTES)?;
    Ok(Some(AdapterFiles { config_path: config, config: text, source: Arc::new(source) }))
}

fn refuse_a_model_beside(folder: &Path) -> Result<(), Error> {
    match MODELS.iter().find(|name| folder.join(name).exists()) {
        None => Ok(()),
        Some(model) => Err(Error::new(ErrorKind::Missing, "the folder holds an adapter and a whole model")
            .in_file(folder)
            .expected("one of them")
            .found(format!("{CONFIG} and {model}"))
            .hint(format!("name the file that is meant: {WEIGHTS} or {model}"))),
    }
}

fn without_weights(config: &Path) -> Error {
    let folder = config.parent().unwrap_or(Path::new("."));
    let pickle = config.with_file_name("adapter_model.bin");
    if pickle.exists() {
        return refuse::pickle(&pickle).hint(HOW_TO_CONVERT);
    }
    Error::new(ErrorKind::Missing, "the adapter has no weights")
        .in_file(folder)
        .expected(WEIGHTS)
        .found("no such file")
        .hint("the training may have been cut short, or the weights are one level below")
}
