//! A model's tokenizer, kept on disk so that those who read it find files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::address::Scheme;
use super::bucket::version;
use super::place::{Place, Seen};
use crate::files::Files;
use crate::{Error, ErrorKind};

/// What a tokenizer may consist of.
const NAMES: [&str; 3] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/// The largest known are below 40 MB.
const MAX_BYTES: u64 = 256 << 20;

/// The folder that has the tokenizer's files of the checkpoint in `folder`, as they are now.
pub(super) fn fetch(place: &Arc<Place>, folder: &Path) -> Result<PathBuf, Error> {
    let wanted = NAMES.map(|name| folder.join(name));
    let present = if place.bucket.address.scheme == Scheme::Web {
        place.present(&wanted)?
    } else {
        let listed = place.list(folder)?;
        let present: Vec<PathBuf> = wanted.into_iter().filter(|path| listed.contains(path)).collect();
        place.expect(&present);
        present
    };
    let seen = present.into_iter().map(|path| Ok((place.look(&path)?, path))).collect::<Result<Vec<_>, Error>>()?;
    let kept = cache(place)?.join(name(place, folder, &seen));
    if kept.is_dir() {
        return Ok(kept);
    }
    let texts = seen.into_iter().map(|(seen, path)| {
        let file = place.file(&path, seen);
        Ok((path, file.all(MAX_BYTES)?))
    });
    let texts = texts.collect::<Result<Vec<_>, Error>>()?;
    write(&kept, &texts).map_err(|(path, cause)| {
        Error::new(ErrorKind::Store, "the tokenizer cannot be kept")
            .in_file(&path)
            .found(cause.to_string())
            .hint("set XDG_CACHE_HOME to a folder that can be written")
    })?;
    Ok(kept)
}

fn cache(place: &Place) -> Result<PathBuf, Error> {
    let folder = place.options.cache_dir.as_ref().map(|folder| folder.join("stores"));
    folder.ok_or_else(|| {
        Error::new(ErrorKind::Store, "there is no folder to keep the tokenizer in")
            .expected("XDG_CACHE_HOME or a home folder")
            .hint("set XDG_CACHE_HOME to a folder")
    })
}

/// By address and version of every file, so that what is kept is never old; and by endpoint, for buckets of one name may be
/// many.
fn name(place: &Place, folder: &Path, seen: &[(Seen, PathBuf)]) -> String {
    let mut hasher = blake3::Hasher::new();
    let endpoints = place.options.variables.iter().filter(|(name, _)| name.contains("ENDPOINT"));
    for text in endpoints.flat_map(|(name, value)| [name, value]) {
        hasher.update(text.as_bytes()).update(b"\0");
    }
    hasher.update(folder.as_os_str().as_encoded_bytes());
    for (seen, path) in seen {
        hasher.update(b"\0").update(path.as_os_str().as_encoded_bytes()).update(b"\0");
        hasher.update(version(&seen.meta).as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Writes the files into a folder of their own and gives it its name when all are there.
fn write(kept: &Path, texts: &[(PathBuf, Vec<u8>)]) -> Result<(), (PathBuf, std::io::Error)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let unfinished = kept.with_extension(format!("{}-{number}.unfinished", std::process::id()));
    let named = |path: &Path, cause| (path.to_owned(), cause);
    fs::create_dir_all(&unfinished).map_err(|e| named(&unfinished, e))?;
    for (path, text) in texts {
        let path = unfinished.join(path.file_name().unwrap_or_default());
        fs::write(&path, text).map_err(|e| named(&path, e))?;
    }
    let moved = fs::rename(&unfinished, kept);
    if moved.is_err() && kept.is_dir() {
        // Another process was faster, with the same files.
        return fs::remove_dir_all(&unfinished).map_err(|e| named(&unfinished, e));
    }
    moved.map_err(|e| named(kept, e))
}
