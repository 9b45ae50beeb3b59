use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong, for a caller that wants to react.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TextErrorKind {
    /// A file does not exist or cannot be read or written.
    Io,
    /// There is no tokenizer where one was looked for.
    Missing,
    /// A tokenizer or a list of token ids is not of the format it claims to be, or is damaged.
    Malformed,
    /// A well-formed tokenizer of a kind that is not supported.
    Unsupported,
    /// The user's text cannot be used: not UTF-8, not JSONL, empty, too short.
    Text,
    /// Tokens do not fit the model's vocabulary.
    Vocabulary,
}

/// What failed, where (file, line, byte), what was expected, what was found, and one hint.
#[derive(Debug)]
pub struct TextError(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: TextErrorKind,
    what: String,
    file: Option<PathBuf>,
    place: Option<String>,
    expected: Option<String>,
    found: Option<String>,
    hint: Option<String>,
    source: Option<std::io::Error>,
}

impl TextError {
    /// `what` is a clause in lower case without a full stop: "the text is empty".
    pub(crate) fn new(kind: TextErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            what: what.into(),
            file: None,
            place: None,
            expected: None,
            found: None,
            hint: None,
            source: None,
        }))
    }

    /// An operating-system error on `path`.
    pub(crate) fn io(what: &str, path: &Path, source: std::io::Error) -> Self {
        let mut error = Self::new(TextErrorKind::Io, what).in_file(path);
        error.0.source = Some(source);
        error
    }

    /// The checkpoint's own error.
    pub(crate) fn of_checkpoint(error: &tomo_checkpoint::Error) -> Self {
        let lines = error.to_string();
        let lines: Vec<&str> = lines.lines().map(str::trim).collect();
        Self::new(TextErrorKind::Io, "the checkpoint's tokenizer cannot be had").found(lines.join("; "))
    }

    /// Names the file, unless one is named already.
    #[must_use]
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.0.file.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Names the place in the file: "line 12", "byte 4096", a metadata key.
    #[must_use]
    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    /// What should have been there.
    #[must_use]
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    /// What was there.
    #[must_use]
    pub(crate) fn found(mut self, found: impl Into<String>) -> Self {
        self.0.found = Some(found.into());
        self
    }

    /// What the user can do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> TextErrorKind {
        self.0.kind
    }
}

/// Text from a file, made safe for a terminal: control characters are escaped and long text is cut.
fn safe(text: &str) -> String {
    const MOST: usize = 300;
    let mut out: String = text.chars().take(MOST).flat_map(escape_control).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

fn escape_control(c: char) -> Vec<char> {
    // Bidirectional overrides can reorder what a terminal shows; control characters can drive it.
    let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if c.is_control() || hidden { c.escape_unicode().collect() } else { vec![c] }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.0;
        f.write_str(&safe(&d.what))?;
        let file = d.file.as_ref().map(|f| f.display().to_string());
        let source = d.source.as_ref().map(ToString::to_string);
        for (name, value) in [
            ("file", &file),
            ("place", &d.place),
            ("expected", &d.expected),
            ("found", &d.found),
            ("found", &source),
            ("hint", &d.hint),
        ] {
            if let Some(value) = value {
                // The list of pre-tokenizer kinds is ours and long.
                let value = if name == "expected" { value.clone() } else { safe(value) };
                write!(f, "\n  {name}: {value}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for TextError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}
