use crate::{Error, ErrorKind};

/// What the user asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spec {
    pub(super) org: String,
    pub(super) name: String,
    /// Branch, tag, commit or `refs/pr/N`.
    pub(super) revision: String,
    pub(super) choice: Choice,
}

/// Which files of the repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// The checkpoint, if there is one.
    Any,
    /// This file.
    File(String),
    /// The GGUF file whose name ends so.
    Tag(String),
}

/// Endings that make the second of two parts a file: `folder/model.gguf` is a path that is not there, not a repository.
const FILE_ENDINGS: [&str; 7] = [".gguf", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json"];
/// Endings that can be chosen.
const WEIGHT_ENDINGS: [&str; 2] = [".gguf", ".safetensors"];

const FORM: &str = "org/name, org/name@revision, org/name:TAG or org/name/file.gguf";

impl Spec {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        Self::parsed(text).ok_or_else(|| {
            Error::new(ErrorKind::Hub, "this does not name a repository of the hub").expected(FORM).found(text)
        })
    }

    fn parsed(text: &str) -> Option<Self> {
        let (place, rest) = text.split_once('@').map_or((text, None), |(place, rest)| (place, Some(rest)));
        let (place, early_tag) = split_tag(place);
        let (revision, late_tag) = rest.map_or((None, None), |r| (Some(split_tag(r).0), split_tag(r).1));
        let mut parts = place.splitn(3, '/');
        let (org, name, file) = (parts.next()?, parts.next()?, parts.next());
        let choice = match (file, early_tag, late_tag) {
            (None, None, None) => Choice::Any,
            (Some(file), None, None) if is_weight_file(file) => Choice::File(file.to_owned()),
            (None, Some(tag), None) | (None, None, Some(tag)) if is_word(tag) => Choice::Tag(tag.to_owned()),
            _ => return None,
        };
        let revision = revision.unwrap_or("main");
        let is_file = ends_with_any(name, &FILE_ENDINGS);
        let sound = is_word(org) && is_word(name) && !is_file && revision.split('/').all(is_word);
        let owned = str::to_owned;
        sound.then(|| Self { org: owned(org), name: owned(name), revision: owned(revision), choice })
    }

    /// `org/name`.
    pub(super) fn repo(&self) -> String {
        format!("{}/{}", self.org, self.name)
    }

    /// Whether the revision is a commit, whose files never change.
    pub(super) fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

/// Forty lower-case hexadecimal digits.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn split_tag(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(place, tag)| (place, Some(tag)))
}

/// A part of a name that can neither leave a folder nor end an address.
fn is_word(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let starts_well = text.as_bytes().first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    starts_well && text.len() <= 96 && text.bytes().all(allowed) && !text.contains("..") && !text.contains("--")
}

fn is_weight_file(file: &str) -> bool {
    super::select::is_safe_name(file) && ends_with_any(file, &WEIGHT_ENDINGS)
}

fn ends_with_any(text: &str, endings: &[&str]) -> bool {
    let lower = text.to_ascii_lowercase();
    endings.iter().any(|e| lower.ends_with(e))
}
