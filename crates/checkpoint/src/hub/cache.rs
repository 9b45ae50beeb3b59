use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::spec::{Spec, is_commit};
use crate::{Error, ErrorKind};

/// Folders below a snapshot that are looked into, and files that are listed.
const MAX_DEPTH: usize = 4;
const MAX_FILES: usize = 100_000;

/// One repository in the shared cache:
///
/// ```text
/// models--org--name/
///   refs/<revision>            the commit it pointed to
///   blobs/<etag>               contents, by entity tag; <etag>.incomplete while they arrive
///   snapshots/<commit>/<path>  links into blobs
/// .locks/models--org--name/<etag>.lock
/// ```
pub(super) struct RepoCache {
    root: PathBuf,
    locks: PathBuf,
}

impl RepoCache {
    pub(super) fn new(cache_dir: &Path, spec: &Spec) -> Self {
        let folder = format!("models--{}--{}", spec.org, spec.name);
        Self { root: cache_dir.join(&folder), locks: cache_dir.join(".locks").join(folder) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// Path of a file; `name` has been found safe.
    pub(super) fn file(&self, commit: &str, name: &str) -> PathBuf {
        self.snapshot(commit).join(name)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// The commit of a revision, as far as the cache knows.
    pub(super) fn commit(&self, spec: &Spec) -> Option<String> {
        if spec.is_commit() {
            return Some(spec.revision.clone());
        }
        let text = fs::read_to_string(self.root.join("refs").join(&spec.revision)).ok()?;
        Some(text.trim().to_owned()).filter(|t| is_commit(t))
    }

    /// Remembers the commit of a revision. A commit needs no ref.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> Result<(), Error> {
        if revision == commit {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        let write = || {
            make_parent(&path)?;
            let part = path.with_added_extension("part");
            fs::write(&part, commit)?;
            fs::rename(&part, &path)
        };
        write().map_err(|e| not_written(&path, &e))
    }

    /// Files of a snapshot that can be read; a link without its blob is not one.
    pub(super) fn listing(&self, commit: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let snapshot = self.snapshot(commit);
        match list(&snapshot, "", 0, &mut names) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(&snapshot, e)),
        }
        names.sort();
        Ok(names)
    }

    /// Keeps other processes from writing the blob until the file is dropped.
    pub(super) fn lock(&self, etag: &str) -> Result<File, Error> {
        let path = self.locks.join(format!("{etag}.lock"));
        let locked = || {
            make_parent(&path)?;
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        locked().map_err(|e| not_written(&path, &e))
    }

    /// Gives blob `etag` its name in the snapshot.
    pub(super) fn link(&self, etag: &str, commit: &str, name: &str) -> Result<(), Error> {
        let link = self.file(commit, name);
        let depth = name.split('/').count() + 1;
        let target: PathBuf = std::iter::repeat_n("..", depth).chain(["blobs", etag]).collect();
        let place = || {
            make_parent(&link)?;
            match fs::remove_file(&link) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            link_or_copy(&target, &self.blob(etag), &link)
        };
        place().map_err(|e| not_written(&link, &e))
    }
}

#[cfg(unix)]
fn link_or_copy(target: &Path, _blob: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Links need a privilege on Windows, so the blob itself moves, as other clients do there.
#[cfg(not(unix))]
fn link_or_copy(_target: &Path, blob: &Path, link: &Path) -> io::Result<()> {
    fs::rename(blob, link)
}

/// The cache could not be written.
pub(super) fn not_written(path: &Path, cause: &io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write into the cache of the hub")
        .in_file(path)
        .found(cause.to_string())
        .hint("check the permissions and the free space, or set HF_HOME to another folder")
}

pub(super) fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn list(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.take(MAX_FILES) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{name}");
        match fs::metadata(entry.path()) {
            Ok(found) if found.is_file() && names.len() < MAX_FILES => names.push(name),
            Ok(found) if found.is_dir() && depth < MAX_DEPTH => {
                list(&entry.path(), &format!("{name}/"), depth + 1, names)?;
            }
            _ => {}
        }
    }
    Ok(())
}
