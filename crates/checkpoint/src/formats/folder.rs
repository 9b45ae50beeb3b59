//! A folder as the Hugging Face hub lays it out: `config.json` and one safetensors file, or shards with an index.

#![deny(clippy::as_conversions)]

use std::path::{Path, PathBuf};

use super::{gguf, sharded};
use crate::backing::unreadable;
use crate::checkpoint::Checkpoint;
use crate::files::Files;
use crate::open::open_safetensors;
use crate::{Config, Error, ErrorKind, refuse};

/// Bytes of `config.json` that are read; large label maps stay below half of it.
const MAX_CONFIG_BYTES: u64 = 2 << 20;

/// Whether the file name ends in `suffix`, in any case.
pub(crate) fn has_suffix(path: &Path, suffix: &str) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let start = name.len().checked_sub(suffix.len());
    start.and_then(|s| name.get(s..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// Opens the checkpoint in `folder`.
pub(crate) fn open(place: &dyn Files, folder: &Path) -> Result<Checkpoint, Error> {
    let files = place.list(folder)?;
    let named = |name: &str| files.iter().find(|f| f.file_name().is_some_and(|n| n == name));
    let ending = |suffix: &str| files.iter().filter(|f| has_suffix(f, suffix)).collect::<Vec<_>>();

    if let Some(single) = named("model.safetensors") {
        return open_safetensors(place, folder, single, place.open(single)?);
    }
    let indices = ending(sharded::INDEX_SUFFIX);
    if let Some(index) = named("model.safetensors.index.json").or(only(&indices)) {
        return sharded::open(place, folder, index);
    }
    let singles = ending(".safetensors");
    if let Some(single) = only(&singles) {
        return open_safetensors(place, folder, single, place.open(single)?);
    }
    if !singles.is_empty() {
        return Err(several(folder, &singles));
    }
    let ggufs: Vec<_> = ending(".gguf").into_iter().filter(|f| gguf::split::is_first_or_whole(f)).collect();
    if let Some(file) = only(&ggufs) {
        return gguf::split::open(place, file, place.open(file)?);
    }
    if !ggufs.is_empty() {
        return Err(several(folder, &ggufs));
    }
    if let Some(file) = files.iter().find(|f| refuse::is_pickle_name(f)) {
        return Err(refuse::pickle(file));
    }
    Err(Error::new(ErrorKind::Missing, "there are no weights in this folder")
        .in_file(folder)
        .expected("model.safetensors, model.safetensors.index.json or a .gguf file")
        .found(format!("{} other files", files.len()))
        .hint("is this the folder that holds config.json? weights may be one level below"))
}

fn only<'a>(found: &[&'a PathBuf]) -> Option<&'a PathBuf> {
    if let [one] = found { Some(one) } else { None }
}

fn several(folder: &Path, found: &[&PathBuf]) -> Error {
    let names = found.iter().take(5).filter_map(|f| f.file_name()?.to_str());
    Error::new(ErrorKind::Missing, "which file of the folder is meant is not clear")
        .in_file(folder)
        .expected("one checkpoint, or an index of its shards")
        .found(format!("{} files: {}", found.len(), names.collect::<Vec<_>>().join(" ")))
        .hint("name one of the files")
}

/// The `config.json` in the same folder as `file`.
pub(crate) fn config_beside(place: &dyn Files, file: &Path) -> Result<Config, Error> {
    let path = file.with_file_name("config.json");
    let wrong = |found: String| {
        Error::new(ErrorKind::Malformed, "config.json is not as it should be")
            .in_file(&path)
            .expected("a JSON object")
            .found(found)
            .hint("fetch the file again, or move it away to read the weights without it")
    };
    let Some(text) = place.text(&path, MAX_CONFIG_BYTES)? else { return Ok(Config::Absent) };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if value.is_object() { Ok(Config::HuggingFace(value)) } else { Err(wrong("another JSON value".into())) }
}

/// All bytes of a file that has to be there, at most `most` of them.
pub(crate) fn read_text(place: &dyn Files, path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let missing = || unreadable(path, std::io::ErrorKind::NotFound.into());
    place.text(path, most)?.ok_or_else(missing)
}
