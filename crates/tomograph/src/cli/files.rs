use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use tempfile::NamedTempFile;
use tomo_map::Map;

/// Writes `path` through a temporary file in the same folder and renames it into place: a reader sees the old file or the
/// whole new one, never half of it.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile_with_usual_mode(folder)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Writes `path` likewise, where the content is too large to be held: `write` fills the temporary file and says whether it is to
/// take its place. It does so only when all of it has reached the disk.
pub(crate) fn write_streamed(
    path: &Path,
    write: impl FnOnce(&mut NamedTempFile) -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    let failed = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile_with_usual_mode(folder).with_context(failed)?;
    if !write(&mut file).with_context(failed)? {
        return Ok(false);
    }
    let settle = || -> io::Result<()> {
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The name is in the folder, which is synchronised by itself where the system allows it.
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    settle().with_context(failed)?;
    Ok(true)
}

/// Whether both are names of one file that exists.
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
        id(a).is_some() && id(a) == id(b)
    }
    #[cfg(not(unix))]
    {
        let id = |path: &Path| std::fs::canonicalize(path).ok();
        id(a).is_some() && id(a) == id(b)
    }
}

/// `tempfile` makes files only their owner can read; outputs should have the mode any new file has.
fn tempfile_with_usual_mode(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tomograph-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Reads a map from its file, or from the folder that `map` or `diff` wrote.
pub(crate) fn read_map(path: &Path) -> anyhow::Result<Map> {
    let inside = |name: &str| Some(path.join(name)).filter(|file| file.exists());
    let file = match path.is_dir() {
        true => inside("map.json").or_else(|| inside("diff.json")).unwrap_or_else(|| path.join("map.json")),
        false => path.to_owned(),
    };
    let json = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    tomo_map::read_json(&json).with_context(|| format!("cannot understand {}", file.display()))
}
