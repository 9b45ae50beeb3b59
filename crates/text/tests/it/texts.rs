//! Documents from files, JSON lines, standard input and the bundled sample.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tomo_text::{Text, TextError, TextErrorKind};

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

fn read(paths: &[PathBuf], field: Option<&str>) -> Result<Text, TextError> {
    Text::from_files(paths, field, &mut Cursor::new("from standard input"))
}

/// The message of a refusal, which names `parts`.
fn refusal(contents: &[u8], name: &str, field: Option<&str>, parts: &[&str]) {
    let files = Files::new();
    let error = read(&[files.write(name, contents)], field).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.kind(), TextErrorKind::Text, "{message}");
    for part in parts.iter().chain([&name, &"expected:"]) {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn a_plain_file_is_one_document_as_it_is() {
    let files = Files::new();
    let paths = [files.write("a.txt", "\u{feff}one\r\ntwo\n"), files.write("b.md", " \u{feff}three"), "-".into()];
    let text = read(&paths, None).unwrap();
    assert_eq!(text.documents(), ["one\r\ntwo\n", " \u{feff}three", "from standard input"]);
    assert_eq!(text.describe(), "a.txt and 2 more files (37 bytes, 3 documents)");
    assert_eq!(read(&paths[2..], None).unwrap().describe(), "standard input (19 bytes)");
}

#[test]
fn json_lines_hold_a_document_per_line() {
    let files = Files::new();
    let lines =
        "{\"text\": \"one\\ntwo\", \"n\": 1}\r\n\n{\"text\": \"\"}\n  {\"n\": {\"text\": 2}, \"text\": \"\\u00e9\"}\n";
    let path = files.write("a.jsonl", lines);
    assert_eq!(read(&[path], None).unwrap().documents(), ["one\ntwo", "\u{e9}"]);
    let other = files.write("a.txt", "{\"body\": \"b\"}\n{\"body\": \"c\", \"text\": 1}");
    assert_eq!(read(std::slice::from_ref(&other), Some("body")).unwrap().documents(), ["b", "c"]);
    // Without a field a .txt file is text, whatever it looks like.
    assert_eq!(read(&[other], None).unwrap().documents().len(), 1);
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    refusal(b"caf\xe9 au lait", "latin.txt", None, &["not UTF-8", "byte 3", "e9 20 61 75", "iconv"]);
    refusal(b"{\"text\": \"a\"}\n{\"t\": 1, \"u\": 2}\n", "a.jsonl", None, &["line 2", "\"text\"", "t, u", "--field"]);
    refusal(b"{\"text\": \"a\"}\n\n{\"text\": 7}\n", "b.jsonl", None, &["line 3", "not a text"]);
    refusal(b"[{\"text\": \"a\"},\n", "c.json", None, &["line 1", "not JSON", "jq"]);
    refusal(b"\"text\"", "d.json", None, &["line 1", "not a JSON object"]);
    refusal(b"{\"a\": \"\"}\n", "e.txt", Some("b"), &["line 1", "\"b\""]);
}

#[test]
fn a_text_of_nothing_is_refused() {
    refusal(b"", "empty.txt", None, &["the text is empty", "0 bytes"]);
    refusal(b" \n\t\r\n\xe2\x80\x83", "white.txt", None, &["the text is empty"]);
    refusal(b"{\"text\": \"\"}\n", "empty.jsonl", None, &["the text is empty"]);
    assert_eq!(read(&[], None).unwrap_err().kind(), TextErrorKind::Text);
    let missing = read(&["no/such/file.txt".into()], None).unwrap_err();
    assert_eq!(missing.kind(), TextErrorKind::Io);
    assert!(missing.to_string().contains("no/such/file.txt"), "{missing}");
}

#[test]
fn names_cannot_drive_a_terminal() {
    let files = Files::new();
    let path = files.write("a\u{1b}[31m.txt", "x");
    assert_eq!(read(&[path], None).unwrap().describe(), "a\\u{1b}[31m.txt (1 bytes)");
}

#[test]
fn the_digest_is_of_the_documents_and_their_bounds() {
    let files = Files::new();
    let of = |texts: &[&str]| {
        let paths: Vec<_> = (0..).zip(texts).map(|(i, t)| files.write(&format!("{i}.txt"), t)).collect();
        read(&paths, None).unwrap().digest()
    };
    assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    let different = [of(&["ab", "c"]), of(&["a", "bc"]), of(&["abc"]), of(&["c", "ab"])];
    for (i, a) in different.iter().enumerate() {
        assert!(!different[i + 1..].contains(a), "{different:?}");
    }
}

/// Every file of the sample is in the binary, in the order of their names.
#[test]
fn the_bundled_sample_is_what_the_folder_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "txt"));
    paths.sort();
    let text = Text::bundled();
    assert_eq!(text.documents(), read(&paths, None).unwrap().documents());
    assert!(text.documents().len() > 20 && text.bytes() > 50_000);
    let described = text.describe();
    assert!(described.starts_with("bundled sample (6") && described.ends_with(" documents)"), "{described}");
    assert!(described.contains(",") && described.contains(" bytes, "), "{described}");
}
