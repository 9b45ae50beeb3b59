use super::spec::{Choice, Spec};
use crate::{Error, ErrorKind};

const INDEX: &str = "model.safetensors.index.json";
/// What belongs to safetensors where the repository has it: the configuration (of an adapter, its own) and the tokenizer, in
/// any of its formats. A GGUF file has both inside.
const COMPANIONS: [&str; 9] = [
    "config.json",
    "adapter_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
];
const PICKLES: [&str; 5] = [".bin", ".pt", ".pth", ".ckpt", ".pkl"];
/// File names in an error message.
const SHOWN: usize = 12;

/// Which files to have, and what to open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Selection {
    /// Files to have.
    pub(super) files: Vec<String>,
    /// An index among them whose shards are needed too.
    pub(super) index: Option<String>,
    /// File to open; the folder when there is none.
    pub(super) opens: Option<String>,
}

/// Whether a name from the hub can be used as a path below a folder: relative, without `..`, backslashes, colons (drives
/// and streams of Windows) and control characters.
pub(super) fn is_safe_name(name: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, '\\' | ':');
    name.len() <= 1024
        && !name.contains(bad)
        && name.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

/// The files that `spec` needs out of `listing`.
pub(super) fn select(spec: &Spec, listing: &[String]) -> Result<Selection, Error> {
    match &spec.choice {
        Choice::File(file) => match listing.iter().find(|l| *l == file) {
            Some(file) => one_file(file, listing),
            None => Err(missing(spec, "the repository has no such file", file, listing)),
        },
        Choice::Tag(tag) => tagged(spec, tag, listing),
        Choice::Any => any(spec, listing),
    }
}

/// At the root of the repository, as [`crate::open`] chooses in a folder.
fn any(spec: &Spec, listing: &[String]) -> Result<Selection, Error> {
    let root = || listing.iter().filter(|f| !f.contains('/'));
    let has = |name: &str| root().any(|f| f == name);
    if has("model.safetensors") {
        return Ok(Selection { opens: None, ..with_companions("model.safetensors", listing) });
    }
    if has(INDEX) {
        return Ok(Selection { index: Some(INDEX.to_owned()), opens: None, ..with_companions(INDEX, listing) });
    }
    let singles: Vec<_> = root().filter(|f| f.ends_with(".safetensors")).collect();
    if let [single] = singles.as_slice() {
        return Ok(with_companions(single, listing));
    }
    if !singles.is_empty() {
        return Err(missing(spec, "which of several safetensors files is meant is not clear", "no choice", listing));
    }
    let models: Vec<_> = models(listing).collect();
    if let [model] = models.as_slice() {
        return one_file(model, listing);
    }
    if !models.is_empty() {
        return Err(missing(spec, "the repository has several GGUF files", "no choice", listing));
    }
    let pickle = listing.iter().find(|f| PICKLES.iter().any(|p| f.ends_with(p)));
    Err(match pickle {
        Some(file) => {
            Error::new(ErrorKind::Unsupported, format!("{} has only pickle files, which can run any code", spec.repo()))
                .expected("safetensors or GGUF")
                .found(file.as_str())
                .hint("look for a safetensors revision (refs/pr/N), or convert it with the library it came from")
        }
        None => Error::new(ErrorKind::Missing, format!("{} has no weights", spec.repo()))
            .expected("model.safetensors, its index of shards, or a .gguf file")
            .found(format!("{} other files", listing.len())),
    })
}

fn tagged(spec: &Spec, tag: &str, listing: &[String]) -> Result<Selection, Error> {
    let found: Vec<_> = models(listing).filter(|f| has_tag(f, tag)).collect();
    match found.as_slice() {
        [model] => one_file(model, listing),
        [] => Err(missing(spec, "no GGUF file of the repository has that tag", tag, listing)),
        _ => Err(missing(spec, "several GGUF files of the repository have that tag", tag, listing)),
    }
}

/// A file and what belongs to it: the other parts of a split GGUF file, configuration and tokenizer beside safetensors.
fn one_file(file: &str, listing: &[String]) -> Result<Selection, Error> {
    if file.ends_with(".safetensors") {
        return Ok(with_companions(file, listing));
    }
    let mut files = vec![file.to_owned()];
    if let Some((stem, count)) = split_name(file) {
        files = listing.iter().filter(|f| split_name(f) == Some((stem, count))).cloned().collect();
        if files.len() != count {
            return Err(Error::new(ErrorKind::Missing, "parts of a split GGUF file are missing")
                .expected(format!("{count} parts of {stem}"))
                .found(format!("{}", files.len()))
                .hint("in offline mode every part must be in the cache; else the upload may be incomplete"));
        }
    }
    Ok(Selection { files, index: None, opens: Some(file.to_owned()) })
}

fn with_companions(file: &str, listing: &[String]) -> Selection {
    let folder = file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut files = vec![file.to_owned()];
    for companion in COMPANIONS {
        let path = format!("{folder}{companion}");
        files.extend(listing.iter().find(|f| **f == path).cloned());
    }
    Selection { files, index: None, opens: Some(file.to_owned()) }
}

/// GGUF models: of a split file the first part, and no projectors of multimodal models.
fn models(listing: &[String]) -> impl Iterator<Item = &String> {
    let is_projector = |f: &str| f.rsplit('/').next().is_some_and(|n| n.starts_with("mmproj"));
    let is_later_part = |f: &str| split_name(f).is_some() && !f.contains("-00001-of-");
    listing.iter().filter(move |f| f.ends_with(".gguf") && !is_projector(f) && !is_later_part(f))
}

/// Stem and number of parts of `STEM-00002-of-00003.gguf`.
fn split_name(file: &str) -> Option<(&str, usize)> {
    let (rest, count) = file.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let digits = |t: &str| t.len() == 5 && t.bytes().all(|b| b.is_ascii_digit());
    (digits(part) && digits(count)).then_some(())?;
    Some((stem, count.parse().ok()?))
}

/// Whether a name ends in `tag` as a word of its own: `Q4_K_M` in `model-Q4_K_M.gguf`, not in `model-IQ4_K_M.gguf`.
fn has_tag(file: &str, tag: &str) -> bool {
    let stem = split_name(file).map_or_else(|| file.strip_suffix(".gguf").unwrap_or(file), |(stem, _)| stem);
    let (stem, tag) = (stem.to_ascii_lowercase(), tag.to_ascii_lowercase());
    stem.strip_suffix(&tag).is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', '_', '/']))
}

/// An error that lists what could have been chosen.
fn missing(spec: &Spec, what: &str, found: &str, listing: &[String]) -> Error {
    let is_choice = |f: &&String| f.ends_with(".safetensors") || f.ends_with(".gguf");
    let choices: Vec<_> = listing.iter().filter(is_choice).map(String::as_str).collect();
    let more = choices.len().saturating_sub(SHOWN);
    let mut shown = choices.iter().take(SHOWN).copied().collect::<Vec<_>>().join(" ");
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    let hint = match choices.iter().find(|f| f.ends_with(".gguf")) {
        Some(file) => format!("name one: {}/{file}, or {}:TAG with the end of its name", spec.repo(), spec.repo()),
        None => format!("name a file: {}/FILE", spec.repo()),
    };
    Error::new(ErrorKind::Missing, format!("{what} ({})", spec.repo()))
        .expected(if shown.is_empty() { "a .safetensors or .gguf file".to_owned() } else { format!("one of {shown}") })
        .found(found)
        .hint(hint)
}
