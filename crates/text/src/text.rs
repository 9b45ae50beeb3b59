use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{TextError, TextErrorKind, bundled};

/// Where a text came from.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Origin {
    Bundled,
    Files(Vec<String>),
}

/// A text: documents, in order, none of them empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    documents: Vec<String>,
    origin: Origin,
}

/// The path that means standard input.
const STDIN: &str = "-";
const DEFAULT_FIELD: &str = "text";

impl Text {
    /// Reads files; `-` is standard input.
    ///
    /// A plain file is one document. A file called `.jsonl`, `.ndjson` or `.json`, and every file when `field` is given, has one JSON object
    /// per line and in it a document under `field` (`text` when not given); blank lines and empty documents are passed over. A
    /// byte order mark at the start of a file is dropped; line ends are kept as they are.
    ///
    /// # Errors
    /// A file that cannot be read; bytes that are not UTF-8 (with their offset); a line that is not a JSON object, or has no
    /// such field (with its number); a text without anything but white space.
    pub fn from_files(paths: &[PathBuf], field: Option<&str>, stdin: &mut dyn Read) -> Result<Self, TextError> {
        let mut documents = Vec::new();
        for path in paths {
            let text = read(path, stdin)?;
            if field.is_some() || is_json_lines(path) {
                let field = field.unwrap_or(DEFAULT_FIELD);
                json_lines(&text, field, &mut documents).map_err(|e| e.in_file(path))?;
            } else {
                documents.push(text);
            }
        }
        documents.retain(|d| !d.is_empty());
        let names = paths.iter().map(|p| if is_stdin(p) { "standard input".into() } else { name(p) }).collect();
        let text = Self { documents, origin: Origin::Files(names) };
        if text.documents.iter().all(|d| d.trim().is_empty()) {
            return Err(TextError::new(TextErrorKind::Text, "the text is empty")
                .in_file(paths.first().map_or(Path::new(STDIN), PathBuf::as_path))
                .expected("something other than white space")
                .found(format!("{} bytes in {} files", text.bytes(), paths.len()))
                .hint("leave --text out to use the bundled sample"));
        }
        Ok(text)
    }

    /// The sample that comes with Tomograph.
    pub fn bundled() -> Self {
        let documents = bundled::DOCUMENTS.iter().map(|(_, text)| (*text).to_owned()).collect();
        Self { documents, origin: Origin::Bundled }
    }

    /// The documents, in order.
    pub fn documents(&self) -> &[String] {
        &self.documents
    }

    /// Bytes of all documents.
    pub fn bytes(&self) -> u64 {
        self.documents.iter().map(|d| d.len() as u64).sum()
    }

    /// For display: `bundled sample (61,234 bytes, 28 documents)`, `book.txt (1.2 MB)`. Safe for a terminal.
    pub fn describe(&self) -> String {
        let count = self.documents.len();
        let documents = if count == 1 { String::new() } else { format!(", {} documents", thousands(count as u64)) };
        match &self.origin {
            Origin::Bundled => format!("bundled sample ({} bytes{documents})", thousands(self.bytes())),
            Origin::Files(names) => {
                let names = match names.as_slice() {
                    [one] => one.clone(),
                    [one, other] => format!("{one} and {other}"),
                    [one, rest @ ..] => format!("{one} and {} more files", rest.len()),
                    [] => String::new(),
                };
                format!("{names} ({}{documents})", size(self.bytes()))
            }
        }
    }

    /// Digest of the documents, whatever files they came from.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tomograph.text/1\0");
        for document in &self.documents {
            hasher.update(&(document.len() as u64).to_le_bytes()).update(document.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

fn is_json_lines(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["jsonl", "ndjson", "json"].iter().any(|e| extension.eq_ignore_ascii_case(e))
}

/// File name, without characters that could drive a terminal.
pub(crate) fn name(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| path.to_string_lossy(), |n| n.to_string_lossy());
    name.chars().flat_map(|c| if c.is_control() { c.escape_unicode().collect() } else { vec![c] }).collect()
}

fn read(path: &Path, stdin: &mut dyn Read) -> Result<String, TextError> {
    let io = |e| TextError::io("cannot read the text", path, e);
    let bytes = if is_stdin(path) {
        let mut bytes = Vec::new();
        stdin.read_to_end(&mut bytes).map_err(io)?;
        bytes
    } else {
        fs::read(path).map_err(io)?
    };
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let found: Vec<String> = e.as_bytes()[at..].iter().take(4).map(|b| format!("{b:02x}")).collect();
        TextError::new(TextErrorKind::Text, "the text is not UTF-8")
            .in_file(path)
            .at(format!("byte {at}"))
            .expected("UTF-8")
            .found(found.join(" "))
            .hint("convert it: iconv -f LATIN1 -t UTF-8 FILE")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

fn json_lines(text: &str, field: &str, documents: &mut Vec<String>) -> Result<(), TextError> {
    for (number, line) in (1u64..).zip(text.split('\n')) {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: &str| TextError::new(TextErrorKind::Text, what).at(format!("line {number}"));
        let value: serde_json::Value = serde_json::from_str(line).map_err(|e| {
            wrong("a line is not JSON")
                .expected("one JSON object per line")
                .found(e.to_string())
                .hint("a JSON file with all documents in one array must be converted: jq -c '.[]' FILE")
        })?;
        let serde_json::Value::Object(mut object) = value else {
            return Err(wrong("a line is not a JSON object").expected(format!("{{{field:?}: \"...\"}}")));
        };
        match object.remove(field) {
            Some(serde_json::Value::String(document)) => documents.push(document),
            Some(_) => {
                return Err(wrong("a field is not a text").expected(format!("a string under {field:?}")));
            }
            None => {
                let fields: Vec<_> = object.keys().map(String::as_str).collect();
                return Err(wrong("a line has no such field")
                    .expected(format!("{field:?}"))
                    .found(fields.join(", "))
                    .hint("name the field that holds the text: --field NAME"));
            }
        }
    }
    Ok(())
}

pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
