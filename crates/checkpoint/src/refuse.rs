//! Telling the two formats from what people have instead, and saying what to do about it.

use std::path::Path;

use crate::formats::gguf;
use crate::{Error, ErrorKind, Format};

/// File names that PyTorch and others give to pickles.
const PICKLE_EXTENSIONS: &[&str] = &["bin", "pt", "pth", "ckpt", "pkl", "pickle"];

const HOW_TO_CONVERT: &str = "load it once with the library it came from and save it as safetensors, e.g. \
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder, safe_serialization=True), or take a \
    safetensors revision of the model";

/// A pickle runs code when it is loaded.
pub(crate) fn pickle(file: &Path) -> Error {
    Error::new(ErrorKind::Unsupported, "this is a pickle file, which can run any code when it is loaded")
        .in_file(file)
        .expected("safetensors or GGUF")
        .found("a pickle (PyTorch .bin, .pt, .pth, .ckpt)")
        .hint(HOW_TO_CONVERT)
}

/// Whether the name is one that pickles have.
pub(crate) fn is_pickle_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| PICKLE_EXTENSIONS.iter().any(|p| e.eq_ignore_ascii_case(p)))
}

/// The format of a file, by its first bytes, then by its name.
pub(crate) fn recognise(path: &Path, bytes: &[u8]) -> Result<Format, Error> {
    let extension = path.extension().unwrap_or_default();
    if bytes.starts_with(&gguf::MAGIC) {
        return Ok(Format::Gguf);
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(unknown("a Git LFS pointer, not the file itself", "run git lfs pull in the repository"));
    }
    if bytes.starts_with(b"<!DOCTYPE") || bytes.starts_with(b"<html") {
        return Err(unknown("a web page", "the download has saved an error page; fetch the file again"));
    }
    // Pickle protocol 2 and later, or the zip archive that torch.save makes of one.
    let looks_pickled = matches!(bytes, [0x80, 2..=5, ..]) || bytes.starts_with(b"PK\x03\x04");
    if extension.eq_ignore_ascii_case("safetensors") {
        return Ok(Format::Safetensors);
    }
    if extension.eq_ignore_ascii_case("gguf") {
        return Ok(Format::Gguf);
    }
    if looks_pickled || is_pickle_name(path) {
        return Err(pickle(path));
    }
    // A safetensors header begins with an opening brace after its length.
    if bytes.get(8) == Some(&b'{') {
        return Ok(Format::Safetensors);
    }
    Err(unknown("neither's first bytes", "give a folder, a .safetensors file or a .gguf file"))
}

fn unknown(found: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "this is not a checkpoint")
        .expected("safetensors or GGUF")
        .found(found)
        .hint(hint)
}
