use std::path::Path;
use std::sync::Arc;

use crate::backing::{Backing, Head};
use crate::checkpoint::{Checkpoint, Part};
use crate::files::{Disk, Files};
use crate::formats::{folder, gguf, safetensors, sharded};
use crate::{Config, Error, ErrorKind, Format, Source, nearest, refuse};

/// Opens a checkpoint: a Hugging Face folder, a `.safetensors` file (with the `config.json` beside it, if there is one), the
/// `.safetensors.index.json` of shards, or a `.gguf` file (of a split one, any part).
///
/// Nothing but headers is read; tensors stay on disk until [`Source::decode`].
///
/// With the feature `store`, a path may also be an address that the module `store` reads: `s3://bucket/folder`, say.
///
/// # Errors
/// A path that is not there, a file that is damaged, lies about itself or is of another format (pickle files with a
/// sentence that says how to convert them).
pub fn open(path: &Path) -> Result<Arc<dyn Source>, Error> {
    #[cfg(feature = "store")]
    if crate::store::is_address(path) {
        return crate::store::open(path, &crate::store::StoreOptions::from_env());
    }
    let found = std::fs::metadata(path).map_err(|cause| absent(path, cause))?;
    let opened = if found.is_dir() { folder::open(&Disk, path)? } else { open_file(&Disk, path)? };
    Ok(Arc::new(opened))
}

/// The checkpoint that the file at `path` is, or is one part of.
pub(crate) fn open_file(place: &dyn Files, path: &Path) -> Result<Checkpoint, Error> {
    if folder::has_suffix(path, sharded::INDEX_SUFFIX) {
        return sharded::open(place, path, path);
    }
    let backing = place.open(path)?;
    let format = backing.parse(|file| refuse::recognise(path, file.bytes)).map_err(|e| e.in_file(path))?;
    match format {
        Format::Gguf => gguf::split::open(place, path, backing),
        _ => open_safetensors(place, path, path, backing),
    }
}

/// One safetensors file and its configuration; `shown` is what the user named.
pub(crate) fn open_safetensors(
    place: &dyn Files,
    shown: &Path,
    file: &Path,
    backing: Backing,
) -> Result<Checkpoint, Error> {
    let tensors = backing.parse(safetensors::parse).map_err(|e| e.in_file(file))?;
    let config = folder::config_beside(place, file)?;
    let part = Part { path: file.to_owned(), backing, tensors };
    Checkpoint::new(shown, Format::Safetensors, config, vec![part])
}

/// Opens a checkpoint of one file that is already in memory, under the name `<memory>`; `format` is
/// [`Format::Safetensors`] or [`Format::Gguf`].
///
/// # Errors
/// Bytes that are damaged, lie about themselves or are of another format; [`Format::ShardedSafetensors`], which is more
/// than one file.
pub fn from_bytes(bytes: Vec<u8>, format: Format) -> Result<Arc<dyn Source>, Error> {
    let (path, whole) = (Path::new("<memory>"), Head::whole(&bytes));
    let (config, tensors) = match format {
        Format::Safetensors => (Config::Absent, safetensors::parse(whole).map_err(|e| e.in_file(path))?),
        Format::Gguf => {
            let parsed = gguf::parse(whole).map_err(|e| e.in_file(path))?;
            (Config::Gguf(parsed.metadata), parsed.tensors)
        }
        Format::ShardedSafetensors => {
            return Err(Error::new(ErrorKind::Unsupported, "shards are several files")
                .expected("the bytes of one file")
                .found("sharded safetensors")
                .hint("write the shards to a folder and open that"));
        }
    };
    let part = Part { path: path.to_owned(), backing: Backing::Owned(bytes), tensors };
    Ok(Arc::new(Checkpoint::new(path, format, config, vec![part])?))
}

fn absent(path: &Path, cause: std::io::Error) -> Error {
    let is_missing = cause.kind() == std::io::ErrorKind::NotFound;
    let error = Error::io(path, cause).expected("a folder, a .safetensors file or a .gguf file");
    let near = is_missing.then(|| neighbour(path)).flatten();
    match near {
        Some(name) => error.hint(format!("did you mean {name:?}?")),
        None if is_missing => error.hint("check the spelling and the folder you are in"),
        None => error.hint("check the permissions of the file and of the folders above it"),
    }
}

fn neighbour(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(parent).ok()?;
    nearest::nearest(wanted, entries.filter_map(|e| e.ok()?.file_name().into_string().ok()))
}
