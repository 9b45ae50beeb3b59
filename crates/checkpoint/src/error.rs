use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong, for a caller that wants to react.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The path does not exist or cannot be read.
    Io,
    /// The file is not of the format it claims to be, or is damaged.
    Malformed,
    /// A well-formed file uses something that is not supported (a pickle, an integer weight, a type).
    Unsupported,
    /// A tensor or a key that was asked for is not there.
    Missing,
    /// The hub refused or could not be reached.
    Hub,
    /// A store (object store or web server) refused or could not be reached, or what it holds has changed.
    Store,
}

/// What failed, where (file, tensor, byte), what was expected, what was found, and one hint.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    what: String,
    file: Option<PathBuf>,
    tensor: Option<String>,
    byte: Option<u64>,
    expected: Option<String>,
    found: Option<String>,
    hint: Option<String>,
    source: Option<std::io::Error>,
    /// Bytes of the file's head that would have been needed, where there were fewer.
    needs: Option<u64>,
}

impl Error {
    /// `what` is a clause in lower case without a full stop: "tensor data runs past the end of the file".
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            what: what.into(),
            file: None,
            tensor: None,
            byte: None,
            expected: None,
            found: None,
            hint: None,
            source: None,
            needs: None,
        }))
    }

    /// An operating-system error on `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        let mut error = Self::new(ErrorKind::Io, "cannot read").in_file(path);
        error.0.source = Some(source);
        error
    }

    /// Names the file.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.0.file = Some(path.to_owned());
        self
    }

    /// Names the tensor.
    #[must_use]
    pub fn in_tensor(mut self, name: &str) -> Self {
        self.0.tensor = Some(name.to_owned());
        self
    }

    /// Names the byte offset in the file.
    #[must_use]
    pub fn at_byte(mut self, offset: u64) -> Self {
        self.0.byte = Some(offset);
        self
    }

    /// What should have been there.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    /// What was there.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.0.found = Some(found.into());
        self
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says that the first `bytes` of the file are needed, of which not all were there.
    #[must_use]
    pub(crate) fn needing(mut self, bytes: u64) -> Self {
        self.0.needs = Some(bytes);
        self
    }

    /// Bytes of the file's head that would have been needed.
    pub(crate) fn needs(&self) -> Option<u64> {
        self.0.needs
    }

    /// Whether what was asked for is not there.
    #[cfg(feature = "store")]
    pub(crate) fn is_absence(&self) -> bool {
        self.0.kind == ErrorKind::Missing
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it failed, as far as it is known: file, tensor, byte, each with its name; fit for a terminal.
    pub fn site(&self) -> Vec<String> {
        let file = self.0.file.as_ref().map(|file| format!("file {}", safe(&file.display().to_string())));
        let tensor = self.0.tensor.as_ref().map(|tensor| format!("tensor {}", safe(tensor)));
        let byte = self.0.byte.map(|byte| format!("byte {byte}"));
        [file, tensor, byte].into_iter().flatten().collect()
    }

    /// What should have been there.
    pub fn what_was_expected(&self) -> Option<&str> {
        self.0.expected.as_deref()
    }

    /// What was there.
    pub fn what_was_found(&self) -> Option<&str> {
        self.0.found.as_deref()
    }

    /// What the user can do about it.
    pub fn what_to_do(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// Text from a file, made safe for a terminal: control characters are escaped and long text is cut.
fn safe(text: &str) -> String {
    const MOST: usize = 200;
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.0;
        f.write_str(&safe(&d.what))?;
        if let Some(file) = &d.file {
            write!(f, "\n  file: {}", safe(&file.display().to_string()))?;
        }
        if let Some(tensor) = &d.tensor {
            write!(f, "\n  tensor: {}", safe(tensor))?;
        }
        if let Some(byte) = d.byte {
            write!(f, "\n  byte: {byte}")?;
        }
        if let Some(expected) = &d.expected {
            write!(f, "\n  expected: {}", safe(expected))?;
        }
        if let Some(found) = &d.found {
            write!(f, "\n  found: {}", safe(found))?;
        }
        if let Some(source) = &d.source {
            write!(f, "\n  found: {source}")?;
        }
        if let Some(hint) = &d.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}
