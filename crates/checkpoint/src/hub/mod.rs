//! Checkpoints from the Hugging Face hub, through the cache that every client of it shares.
//!
//! [`fetch`] takes `org/name` (with `@revision`, and for a repository of GGUF files `:Q4_K_M` or `/file.gguf`), downloads
//! the files that a scan reads and nothing else, and returns a path for [`crate::open`]. What is cached is not fetched
//! again; in offline mode nothing is. Settings come from the environment variables of the other clients
//! ([`HubOptions::from_env`]).
//!
//! The other side is not trusted: names of files, commits and entity tags become paths only after they are checked, sizes
//! have limits, and a downloaded file is compared with the digest that the hub gives for it before it gets its name.
//!
//! Sources: the layout of the cache is the one that the hub's documentation describes for clients in any language
//! (`models--org--name/{blobs,refs,snapshots}`), the headers are those that `huggingface_hub` reads.

mod cache;
mod client;
mod download;
mod options;
mod progress;
mod refusal;
mod select;
mod spec;

use std::path::{Path, PathBuf};

use cache::RepoCache;
use client::Client;
use refusal::Failure;
use select::Selection;
use spec::Spec;

use crate::{Error, ErrorKind};

pub use options::HubOptions;
pub use progress::HubProgress;

/// Bytes of an index of shards; the largest known are below one megabyte.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// Whether `text` names a repository of the hub: it has the form of one, and no file or folder is at that path.
pub fn is_repo_id(text: &str) -> bool {
    Spec::parse(text).is_ok() && !Path::new(text).exists()
}

/// Makes the files of `spec` available and returns the folder or the file to open.
///
/// `spec` is `org/name`, `org/name@revision` (a branch, a tag, a commit or `refs/pr/N`), `org/name:TAG` for the GGUF file
/// whose name ends in `TAG`, or `org/name/file.gguf`; the last two take `@revision` too. Safetensors win over GGUF where a
/// repository has both and nothing was chosen.
///
/// When the hub cannot be reached and the cache has the files, they are used and `progress` gets a note.
///
/// # Errors
/// A `spec` of another form; a repository, revision or file that is not there or not allowed; several GGUF files and no
/// choice; only pickles; a hub that cannot be reached, or that sends what it should not; in offline mode, files that are
/// not in the cache; a cache that cannot be written.
pub fn fetch(spec: &str, options: &HubOptions, progress: &dyn HubProgress) -> Result<PathBuf, Error> {
    let spec = Spec::parse(spec)?;
    let cache = RepoCache::new(&options.cache_dir, &spec);
    if options.offline {
        return from_cache(&spec, &cache);
    }
    // What a commit holds never changes, so nothing needs to be asked.
    if spec.is_commit()
        && let Ok(path) = from_cache(&spec, &cache)
    {
        return Ok(path);
    }
    let client = Client::new(options);
    let (commit, listing) = match client.listing(&spec) {
        Ok(found) => found,
        Err(Failure::Unreachable(error)) => {
            let path = from_cache(&spec, &cache).map_err(|_| error)?;
            progress.note("the hub cannot be reached: using the files in the cache");
            return Ok(path);
        }
        Err(failure) => return Err(failure.into_error()),
    };
    let mut selection = select::select(&spec, &listing)?;
    let source = download::Source { client: &client, cache: &cache, spec: &spec, commit: &commit };
    if let Some(index) = selection.index.clone() {
        let silent: &dyn HubProgress = &();
        download::ensure(&source, std::slice::from_ref(&index), silent)?;
        selection.files.extend(shards(&cache.file(&commit, &index), &listing)?);
    }
    download::ensure(&source, &selection.files, progress)?;
    cache.write_ref(&spec.revision, &commit)?;
    Ok(opened(&cache, &commit, &selection))
}

/// The same files from the cache alone.
fn from_cache(spec: &Spec, cache: &RepoCache) -> Result<PathBuf, Error> {
    let absent = |what: String| {
        Error::new(ErrorKind::Missing, what)
            .in_file(cache.root())
            .hint("fetch it once without offline mode (HF_HUB_OFFLINE), or name a folder that has it")
    };
    let commit = cache
        .commit(spec)
        .ok_or_else(|| absent(format!("revision {} of {} is not in the cache", spec.revision, spec.repo())))?;
    let listing = cache.listing(&commit)?;
    let mut selection = select::select(spec, &listing).map_err(|e| e.in_file(cache.root()))?;
    if let Some(index) = &selection.index {
        let shards = shard_names(&cache.file(&commit, index))?;
        selection.files.extend(shards);
    }
    match selection.files.iter().find(|f| !listing.contains(f)) {
        None => Ok(opened(cache, &commit, &selection)),
        Some(file) => Err(absent(format!("{file} of {} is not in the cache", spec.repo()))),
    }
}

fn opened(cache: &RepoCache, commit: &str, selection: &Selection) -> PathBuf {
    match &selection.opens {
        Some(file) => cache.file(commit, file),
        None => cache.snapshot(commit),
    }
}

/// Shards that the index at `path` names; each must be in the `listing`.
fn shards(path: &Path, listing: &[String]) -> Result<Vec<String>, Error> {
    let names = shard_names(path)?;
    match names.iter().find(|n| !listing.contains(n)) {
        None => Ok(names),
        Some(name) => {
            Err(Error::new(ErrorKind::Malformed, "the index names a shard that the repository does not have")
                .in_file(path)
                .found(name.as_str())
                .hint("the upload may be incomplete; try another revision"))
        }
    }
}

fn shard_names(path: &Path) -> Result<Vec<String>, Error> {
    let wrong = |found: String| {
        Error::new(ErrorKind::Malformed, "the index of shards is not as it should be")
            .in_file(path)
            .expected("a JSON object whose weight_map gives a .safetensors file for each tensor")
            .found(found)
    };
    let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    if bytes > MAX_INDEX_BYTES {
        return Err(wrong(format!("{bytes} bytes")));
    }
    let text = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let index: serde_json::Value = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    let map = index.get("weight_map").and_then(|m| m.as_object()).ok_or_else(|| wrong("no weight_map".to_owned()))?;
    let mut names = Vec::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|f| select::is_safe_name(f) && f.ends_with(".safetensors"));
        let name = name.ok_or_else(|| wrong(file.to_string()).in_tensor(tensor))?;
        names.push(name.to_owned());
    }
    names.sort();
    names.dedup();
    if names.is_empty() { Err(wrong("an empty weight_map".to_owned())) } else { Ok(names) }
}
