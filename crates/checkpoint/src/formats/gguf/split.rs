//! GGUF files cut into parts by `llama-gguf-split`: `NAME-00001-of-00003.gguf` and so on, all of them GGUF files themselves.

use std::path::{Path, PathBuf};

use super::Parsed;
use crate::backing::Backing;
use crate::checkpoint::{Checkpoint, Part};
use crate::files::Files;
use crate::{Config, Error, ErrorKind, Format, MetaValue};

/// Parts a file may be cut into.
const MAX_PARTS: u64 = 4096;

/// A name of the form that `llama-gguf-split` gives to parts.
struct PartName<'a> {
    stem: &'a str,
    number: u64,
}

fn part_name(path: &Path) -> Option<PartName<'_>> {
    let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
    let (rest, total) = name.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |s: &str| s.len() == 5 && s.bytes().all(|b| b.is_ascii_digit());
    (digits(total) && digits(number)).then_some(())?;
    Some(PartName { stem, number: number.parse().ok()? })
}

/// Whether this is the file by which a folder's listing should count the checkpoint.
pub(crate) fn is_first_or_whole(path: &Path) -> bool {
    part_name(path).is_none_or(|p| p.number == 1)
}

/// Opens a GGUF file and, if it says that it is one part of several, the others beside it.
pub(crate) fn open(place: &dyn Files, path: &Path, backing: Backing) -> Result<Checkpoint, Error> {
    let Parsed { metadata, tensors } = backing.parse(super::parse).map_err(|e| e.in_file(path))?;
    let count = match metadata.get("split.count") {
        Some(&MetaValue::Unsigned(n)) if n > 1 => n,
        _ => 1,
    };
    if count == 1 {
        let part = Part { path: path.to_owned(), backing, tensors };
        return Checkpoint::new(path, Format::Gguf, Config::Gguf(metadata), vec![part]);
    }
    let mut first = None;
    let mut parts = Vec::new();
    let files = siblings(path, count)?;
    place.expect(&files);
    for file in files {
        let backing = place.open(&file).map_err(|e| {
            e.hint(format!("the checkpoint is cut into {count} parts, which must lie side by side; fetch them all"))
        })?;
        let Parsed { metadata, tensors } = backing.parse(super::parse).map_err(|e| e.in_file(&file))?;
        check_part(&metadata, parts.len(), count).map_err(|e| e.in_file(&file))?;
        first.get_or_insert(metadata);
        parts.push(Part { path: file, backing, tensors });
    }
    Checkpoint::new(path, Format::Gguf, Config::Gguf(first.unwrap_or_default()), parts)
}

fn siblings(path: &Path, count: u64) -> Result<Vec<PathBuf>, Error> {
    match part_name(path) {
        Some(name) if count <= MAX_PARTS => {
            Ok((1..=count).map(|i| path.with_file_name(format!("{}-{i:05}-of-{count:05}.gguf", name.stem))).collect())
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "this is one part of a split GGUF file")
            .in_file(path)
            .expected(format!("a name such as model-00001-of-{count:05}.gguf, and at most {MAX_PARTS} parts"))
            .found(format!("another name, or too many parts; split.count says {count}"))
            .hint("give the parts their own names back, or join them with llama-gguf-split --merge")),
    }
}

fn check_part(metadata: &std::collections::BTreeMap<String, MetaValue>, index: usize, count: u64) -> Result<(), Error> {
    let number = |key: &str| match metadata.get(key) {
        Some(&MetaValue::Unsigned(n)) => Some(n),
        _ => None,
    };
    let (no, of) = (number("split.no"), number("split.count"));
    if no == u64::try_from(index).ok() && of == Some(count) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, "the parts of a split GGUF file do not belong together")
        .expected(format!("split.no {index} and split.count {count}"))
        .found(format!("{no:?} and {of:?}"))
        .hint("the parts are of different files; fetch them again"))
}
