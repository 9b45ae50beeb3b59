//! Windows: exact lengths, no overlap, no document joined to the next, the same for everybody.

use std::collections::BTreeMap;
use std::io::Cursor;

use tomo_checkpoint::MetaValue;
use tomo_text::{Text, TextErrorKind, Tokenizer, WindowOptions, Windows};

use crate::fixture::{metadata, path};

fn base() -> BTreeMap<String, MetaValue> {
    metadata(&path("byte_level/tokenizer.gguf"))
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_gguf(&base()).unwrap()
}

fn without_separator() -> Tokenizer {
    let mut metadata = base();
    metadata.retain(|key, _| !key.ends_with("bos_token_id") && !key.ends_with("eos_token_id"));
    Tokenizer::from_gguf(&metadata).unwrap()
}

/// One document per text.
fn text(documents: &[String]) -> Text {
    let lines: Vec<_> = documents.iter().map(|d| serde_json::json!({"text": d}).to_string()).collect();
    Text::from_files(&["-".into()], Some("text"), &mut Cursor::new(lines.join("\n"))).unwrap()
}

/// `lines` lines, every one another.
fn numbered(lines: usize) -> String {
    numbered_from(0, lines)
}

fn numbered_from(first: usize, lines: usize) -> String {
    (first..first + lines).map(|n| format!("line {n} of the text, {}\n", n * n)).collect()
}

fn options(tokens: usize, sequence: usize, seed: u64) -> WindowOptions {
    WindowOptions { tokens, sequence, seed }
}

fn contains(all: &[u32], part: &[u32]) -> bool {
    all.windows(part.len()).any(|w| w == part)
}

#[test]
fn windows_are_exact_disjoint_and_spread_over_the_text() {
    let (tokenizer, text) = (tokenizer(), text(&[numbered(400), numbered_from(400, 300)]));
    let windows = Windows::choose(&tokenizer, &text, &options(1280, 128, 3)).unwrap();
    assert!(windows.notes.is_empty(), "{:?}", windows.notes);
    assert_eq!(windows.sequences.len(), 10);
    assert!(windows.sequences.iter().all(|s| s.len() == 128));
    let mut stream = tokenizer.encode(&text.documents()[0]).unwrap();
    stream.push(tokenizer.eos().unwrap());
    stream.extend(tokenizer.encode(&text.documents()[1]).unwrap());
    let places: Vec<usize> = windows
        .sequences
        .iter()
        .map(|s| stream.windows(128).position(|w| w == s).expect("a piece of the tokenized text"))
        .collect();
    for (part, pair) in places.windows(2).enumerate() {
        assert!(pair[1] >= pair[0] + 128, "{places:?}");
        // A tenth of the text each.
        assert!(pair[0] * 10 / stream.len() == part, "{places:?} of {}", stream.len());
    }
}

#[test]
fn the_same_seed_gives_the_same_windows_and_another_seed_others() {
    let (tokenizer, text) = (tokenizer(), text(&[numbered(3000)]));
    let of = |seed| Windows::choose(&tokenizer, &text, &options(512, 64, seed)).unwrap();
    assert_eq!(of(7), of(7));
    assert_ne!(of(7).sequences, of(8).sequences);
    assert_ne!(of(7).digest(), of(8).digest());
    assert!(of(7).description.contains("seed 7") && of(7).description.contains("standard input"), "{:?}", of(7));
}

#[test]
fn documents_are_joined_by_a_separator() {
    let (tokenizer, documents) = (tokenizer(), vec!["abc".to_owned(); 40]);
    let abc = tokenizer.encode("abc").unwrap();
    let windows = Windows::choose(&tokenizer, &text(&documents), &options(100, 50, 0)).unwrap();
    let eos = tokenizer.eos().unwrap();
    for sequence in &windows.sequences {
        for pair in sequence.split(|&id| id == eos).skip(1).take(5) {
            assert_eq!(pair, abc);
        }
    }
}

#[test]
fn without_a_separator_no_window_reaches_into_another_document() {
    let tokenizer = without_separator();
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (None, None));
    let documents: Vec<String> = (0..30).map(|n| format!("document {n} ").repeat(5 + n % 7)).collect();
    let text = text(&documents);
    let ids: Vec<_> = documents.iter().map(|d| tokenizer.encode(d).unwrap()).collect();
    let windows = Windows::choose(&tokenizer, &text, &options(400, 20, 0)).unwrap();
    assert_eq!(windows.sequences.len(), 20);
    for sequence in &windows.sequences {
        assert!(ids.iter().any(|document| contains(document, sequence)), "{sequence:?}");
    }
    // None is long enough for this: the longest document is used alone.
    let windows = Windows::choose(&tokenizer, &text, &options(400, 200, 0)).unwrap();
    assert!(windows.notes[0].contains("shorter than one window of 200"), "{:?}", windows.notes);
    assert_eq!(windows.sequences.len(), 1);
    assert!(ids.contains(&windows.sequences[0]));
}

#[test]
fn bos_starts_every_window_where_the_tokenizer_says_so() {
    let mut metadata = base();
    metadata.insert("tokenizer.ggml.add_bos_token".into(), MetaValue::Bool(true));
    metadata.insert("tokenizer.ggml.bos_token_id".into(), MetaValue::Unsigned(1));
    let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
    let text = text(&[numbered(300)]);
    let windows = Windows::choose(&tokenizer, &text, &options(320, 32, 0)).unwrap();
    assert_eq!(windows.sequences.len(), 10);
    assert!(windows.sequences.iter().all(|s| s.len() == 32 && s[0] == 1 && !s[1..].contains(&1)));
    assert!(windows.description.contains("each starting with BOS"), "{}", windows.description);
}

#[test]
fn too_little_text_is_used_as_far_as_it_goes_and_said() {
    let tokenizer = tokenizer();
    let ten = text(&[numbered(60)]);
    let all = tokenizer.encode(&ten.documents()[0]).unwrap().len();
    let windows = Windows::choose(&tokenizer, &ten, &options(100_000, 100, 0)).unwrap();
    assert_eq!(windows.sequences.len(), all / 100);
    assert!(windows.notes[0].contains("too few for 1000 windows of 100"), "{:?}", windows.notes);

    let windows = Windows::choose(&tokenizer, &text(&["a b c".to_owned()]), &options(8192, 512, 0)).unwrap();
    assert_eq!(windows.sequences, [tokenizer.encode("a b c").unwrap()]);
    assert!(windows.notes[0].contains("shorter than one window of 512"), "{:?}", windows.notes);

    let windows = Windows::choose(&tokenizer, &ten, &options(250, 100, 0)).unwrap();
    assert_eq!(windows.tokens(), 200);
    assert!(windows.notes[0].contains("250 tokens are no multiple") && windows.notes[0].contains("200 are used"));
    let windows = Windows::choose(&tokenizer, &ten, &options(30, 100, 0)).unwrap();
    assert_eq!(windows.sequences.iter().map(Vec::len).collect::<Vec<_>>(), [30]);

    let error = Windows::choose(&tokenizer, &text(&["a".to_owned()]), &options(8192, 512, 0)).unwrap_err();
    assert_eq!(error.kind(), TextErrorKind::Text);
    let message = error.to_string();
    assert!(message.contains("at least 2 tokens") && message.contains("1 tokens in standard input"), "{message}");
    for (tokens, sequence) in [(0, 512), (1, 512), (8192, 1), (8192, 0)] {
        let error = Windows::choose(&tokenizer, &ten, &options(tokens, sequence, 0)).unwrap_err();
        assert_eq!(error.kind(), TextErrorKind::Text, "{tokens} {sequence}");
    }
}

/// Stretches of a large text are tokenized as documents of their own, from the start of a line.
#[test]
fn a_large_text_is_not_tokenized_whole() {
    let (tokenizer, text) = (tokenizer(), text(&[numbered(20_000), numbered_from(20_000, 15_000)]));
    assert!(text.bytes() > 1 << 20);
    let options = options(2048, 128, 5);
    let windows = Windows::choose(&tokenizer, &text, &options).unwrap();
    assert_eq!(windows.sequences.len(), 16);
    assert!(windows.notes[0].contains("16 stretches spread over"), "{:?}", windows.notes);
    assert_eq!(windows, Windows::choose(&tokenizer, &text, &options).unwrap());
    let line = tokenizer.encode("line").unwrap();
    let mut stream = tokenizer.encode(&text.documents()[0]).unwrap();
    stream.push(tokenizer.eos().unwrap());
    stream.extend(tokenizer.encode(&text.documents()[1]).unwrap());
    let mut last = 0;
    for (part, sequence) in windows.sequences.iter().enumerate() {
        assert_eq!(sequence.len(), 128);
        assert!(sequence.starts_with(&line), "{sequence:?}");
        let place = last + stream[last..].windows(128).position(|w| w == sequence).expect("as in the whole text");
        let (low, high) = (part * stream.len() / 16, (part + 1) * stream.len() / 16);
        assert!(place + 2000 > low && place < high + 2000, "{part}: {place}");
        last = place + 128;
    }
}

/// Many small documents; without a separator the first of a part that is long enough is taken.
#[test]
fn a_large_text_of_small_documents_keeps_them_apart() {
    let documents: Vec<String> = (0..40_000).map(|n| format!("Document {n}. ").repeat(1 + n % 5)).collect();
    let text = text(&documents);
    assert!(text.bytes() > 1 << 20);
    let joined = tokenizer();
    let windows = Windows::choose(&joined, &text, &options(1600, 100, 0)).unwrap();
    assert_eq!(windows.sequences.len(), 16);
    let eos = joined.eos().unwrap();
    let known: std::collections::BTreeSet<Vec<u32>> = documents.iter().map(|d| joined.encode(d).unwrap()).collect();
    for sequence in &windows.sequences {
        let pieces: Vec<_> = sequence.split(|&id| id == eos).collect();
        assert!(pieces.len() > 1);
        for piece in &pieces[..pieces.len() - 1] {
            assert!(known.contains(*piece), "{piece:?}");
        }
    }
    let apart = without_separator();
    let windows = Windows::choose(&apart, &text, &options(480, 30, 0)).unwrap();
    assert_eq!(windows.sequences.len(), 16);
    for sequence in &windows.sequences {
        assert!(known.iter().any(|document| document.starts_with(sequence)), "{sequence:?}");
    }
}

#[test]
fn token_ids_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.json");
    let windows = Windows::choose(&tokenizer(), &text(&[numbered(300)]), &options(320, 32, 0)).unwrap();
    let mut bytes = Vec::new();
    windows.write_json(&mut bytes).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let back = Windows::read_json(&path).unwrap();
    assert_eq!(back.sequences, windows.sequences);
    assert_eq!(back.digest(), windows.digest());
    assert_eq!(back.description, "320 tokens in 10 windows of 32 from ids.json");
    // As any program would read it.
    let parsed: Vec<Vec<u64>> = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(parsed.len(), 10);
    std::fs::write(&path, " [ [4294967295, 0],[1,2,\n3] ]").unwrap();
    assert_eq!(Windows::read_json(&path).unwrap().sequences, [vec![u32::MAX, 0], vec![1, 2, 3]]);
}

#[test]
fn damaged_token_ids_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.json");
    for (contents, part) in [
        ("[[1,2],\n[3,-4]]", "line 2"),
        ("[[1,2],[3,4.5]]", "column 13"),
        ("[[1,4294967296]]", "line 1"),
        ("[[1,\"2\"]]", "line 1"),
        ("[1,2]", "line 1"),
        ("{}", "line 1"),
        ("[[1,2]", "line 1"),
        ("[[1,2]] x", "line 1"),
        ("", "line 1"),
        ("[]", "no sequence"),
        ("[[1,2],[]]", "sequence 1"),
        ("[[1,2],[3,4],[5]]", "sequence 2"),
        ("[[NaN,1]]", "line 1"),
    ] {
        std::fs::write(&path, contents).unwrap();
        let error = Windows::read_json(&path).unwrap_err();
        let message = error.to_string();
        assert_eq!(error.kind(), TextErrorKind::Malformed, "{contents}");
        assert!(message.contains(part) && message.contains("ids.json"), "{contents}: {message}");
    }
    assert_eq!(Windows::read_json(&folder.path().join("none")).unwrap_err().kind(), TextErrorKind::Io);
}

#[test]
fn a_vocabulary_that_does_not_fit_is_refused_with_both_numbers() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.vocab_size(), 1002);
    tokenizer.check_vocabulary(1002).unwrap();
    tokenizer.check_vocabulary(1024).unwrap();
    let error = tokenizer.check_vocabulary(1001).unwrap_err();
    assert_eq!(error.kind(), TextErrorKind::Vocabulary);
    assert!(error.to_string().contains("below 1001") && error.to_string().contains("up to 1001"), "{error}");

    let windows = Windows { sequences: vec![vec![1, 2], vec![3, 9]], notes: vec![], description: String::new() };
    windows.check_vocabulary(10).unwrap();
    let error = windows.check_vocabulary(9).unwrap_err().to_string();
    assert!(
        error.contains("token 1 of sequence 1") && error.contains("below 9") && error.contains("found: 9"),
        "{error}"
    );
}
