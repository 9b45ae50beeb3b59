//! Tokenizers that were made to break a reader: an error that says what is wrong, never a panic.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tomo_checkpoint::MetaValue;
use tomo_text::{TextErrorKind, Tokenizer};

use crate::fixture::{self, metadata, path};

type Metadata = BTreeMap<String, MetaValue>;

fn base() -> Metadata {
    metadata(&path("byte_level/tokenizer.gguf"))
}

fn sentencepiece() -> Metadata {
    metadata(&path("sentencepiece/prefix.gguf"))
}

fn unigram() -> Metadata {
    metadata(&path("unigram/tokenizer.gguf"))
}

fn array<'a>(metadata: &'a mut Metadata, key: &str) -> &'a mut Vec<MetaValue> {
    match metadata.get_mut(&format!("tokenizer.ggml.{key}")) {
        Some(MetaValue::Array(items)) => items,
        other => panic!("{key}: {other:?}"),
    }
}

fn set(metadata: &mut Metadata, key: &str, value: MetaValue) {
    metadata.insert(format!("tokenizer.ggml.{key}"), value);
}

fn text(text: &str) -> MetaValue {
    MetaValue::Text(text.to_owned())
}

/// The change makes a tokenizer that is refused, and the message names `parts`.
fn refused(mut metadata: Metadata, change: impl FnOnce(&mut Metadata), kind: TextErrorKind, parts: &[&str]) {
    Tokenizer::from_gguf(&metadata).expect("good before the change");
    change(&mut metadata);
    let error = match Tokenizer::from_gguf(&metadata) {
        Ok(tokenizer) => panic!("{tokenizer:?} was accepted, expected {parts:?}"),
        Err(error) => error,
    };
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for part in parts.iter().chain(&["hint:", "place: tokenizer."]) {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn arrays_of_other_lengths_and_types_are_refused() {
    use TextErrorKind::{Malformed, Missing};
    refused(base(), |m| array(m, "token_type").truncate(7), Malformed, &["token_type", "1006 values", "found: 7"]);
    refused(sentencepiece(), |m| array(m, "scores").push(MetaValue::Float(0.0)), Malformed, &["scores", "found: 901"]);
    refused(base(), |m| array(m, "tokens").clear(), Malformed, &["from 1 to 2^32", "found: 0"]);
    refused(base(), |m| drop(m.remove("tokenizer.ggml.tokens")), Missing, &["no vocabulary"]);
    refused(base(), |m| drop(m.remove("tokenizer.ggml.merges")), Malformed, &["without merges"]);
    refused(sentencepiece(), |m| drop(m.remove("tokenizer.ggml.scores")), Malformed, &["without scores"]);
    refused(unigram(), |m| drop(m.remove("tokenizer.ggml.scores")), Malformed, &["without scores"]);
    refused(base(), |m| set(m, "tokens", text("a")), Malformed, &["an array", "wrong type"]);
    refused(base(), |m| array(m, "tokens")[3] = MetaValue::Bool(true), Malformed, &["tokens", "wrong type"]);
    refused(base(), |m| array(m, "token_type")[3] = MetaValue::Signed(-1), Malformed, &["token_type"]);
    refused(base(), |m| set(m, "model", MetaValue::Unsigned(1)), Malformed, &["a text"]);
    refused(base(), |m| set(m, "add_bos_token", MetaValue::Unsigned(1)), Malformed, &["true or false"]);
    let nan = |m: &mut Metadata| array(m, "scores")[300] = MetaValue::Float(f64::NAN);
    refused(sentencepiece(), nan, Malformed, &["scores"]);
    refused(unigram(), nan, Malformed, &["scores"]);
    let endless = |m: &mut Metadata| array(m, "scores")[300] = MetaValue::Float(f64::INFINITY);
    refused(unigram(), endless, Malformed, &["scores"]);
}

#[test]
fn tokens_and_merges_that_do_not_fit_are_refused() {
    use TextErrorKind::Malformed;
    let twice = |m: &mut Metadata| array(m, "tokens")[500] = array(m, "tokens")[400].clone();
    refused(base(), twice, Malformed, &["the same text", "as 400 and as 500"]);
    let merge = |merge: &str| {
        let merge = text(merge);
        move |m: &mut Metadata| array(m, "merges")[5] = merge
    };
    refused(base(), merge("a zzzzzz"), Malformed, &["do not exist", "zzzzzz", "merge 5"]);
    // Both are tokens, together they are longer than any token: the library would write past its buffer.
    let longest = |m: &mut Metadata| {
        let longest = array(m, "tokens").iter().filter_map(|t| if let MetaValue::Text(t) = t { Some(t) } else { None });
        let longest = longest.max_by_key(|t| t.len()).unwrap().clone();
        array(m, "merges")[5] = text(&format!("{longest} {longest}"));
    };
    refused(base(), longest, Malformed, &["do not exist", "merge 5"]);
    for wrong in ["a", "", " ", "a b c", "a  b", " a", "a "] {
        refused(base(), merge(wrong), Malformed, &["not two tokens", "merge 5"]);
    }
    let long = "x".repeat(10_000);
    refused(base(), |m| array(m, "tokens")[500] = text(&long), Malformed, &["token 500 is too long", "10000 bytes"]);
    refused(unigram(), |m| array(m, "tokens")[500] = text(&long), Malformed, &["token 500 is too long"]);
}

#[test]
fn special_tokens_outside_the_vocabulary_are_refused() {
    use TextErrorKind::Malformed;
    for key in ["bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id"] {
        for id in [MetaValue::Unsigned(1006), MetaValue::Unsigned(u64::MAX), MetaValue::Signed(-1)] {
            refused(base(), |m| set(m, key, id), Malformed, &[key, "an id below 1006"]);
        }
        refused(base(), |m| set(m, key, text("1")), Malformed, &[key, "a token id"]);
    }
    let no_bos = |m: &mut Metadata| {
        set(m, "add_bos_token", MetaValue::Bool(true));
        m.remove("tokenizer.ggml.bos_token_id");
    };
    refused(base(), no_bos, Malformed, &["does not say which token", "bos_token_id"]);
    let no_unknown = |m: &mut Metadata| {
        m.remove("tokenizer.ggml.unknown_token_id");
        m.remove("tokenizer.ggml.token_type");
    };
    refused(unigram(), no_unknown, Malformed, &["unknown characters"]);
}

#[test]
fn kinds_that_are_not_known_are_refused_and_the_known_ones_listed() {
    use TextErrorKind::{Missing, Unsupported};
    refused(base(), |m| set(m, "pre", text("nonesuch")), Unsupported, &["nonesuch", "smollm", "llama-bpe", "qwen2"]);
    refused(base(), |m| drop(m.remove("tokenizer.ggml.pre")), Unsupported, &["tokenizer.ggml.pre", "tokenizer.json"]);
    refused(base(), |m| set(m, "model", text("bert")), Unsupported, &["found: bert", "WordPiece"]);
    refused(base(), |m| set(m, "model", text("rwkv")), Unsupported, &["found: rwkv", "gpt2"]);
    refused(base(), |m| set(m, "model", text("none")), Missing, &["no tokenizer"]);
    refused(base(), |m| drop(m.remove("tokenizer.ggml.model")), Missing, &["no tokenizer"]);
    let keeps = |m: &mut Metadata| set(m, "remove_extra_whitespaces", MetaValue::Bool(false));
    refused(unigram(), keeps, Unsupported, &["keeps white space"]);
    refused(base(), |m| set(m, "pre", text("\u{1b}[2J")), Unsupported, &["\\u{1b}[2J"]);
}

/// Every byte of the compiled normalisation matters, and most changes lead somewhere outside it: encoding is safe after all
/// that pass the check.
#[test]
fn damaged_compiled_normalisation_is_refused_or_harmless() {
    let good = unigram();
    let bytes = array(&mut good.clone(), "precompiled_charsmap").len();
    let (mut refusals, mut accepted) = (0, 0);
    let mut try_it = |change: &dyn Fn(&mut Vec<MetaValue>)| {
        let mut metadata = good.clone();
        change(array(&mut metadata, "precompiled_charsmap"));
        match Tokenizer::from_gguf(&metadata) {
            Err(error) => {
                assert_eq!(error.kind(), TextErrorKind::Malformed, "{error}");
                refusals += 1;
            }
            Ok(tokenizer) => {
                for (_, text) in fixture::corpus() {
                    tokenizer.encode(&text).unwrap();
                }
                accepted += 1;
            }
        }
    };
    for at in (0..bytes).step_by(41) {
        for value in [0, 0x80, 0xff] {
            try_it(&|map| map[at] = MetaValue::Unsigned(value));
        }
    }
    for length in [1, 3, 4, 5, 100, bytes - 1] {
        try_it(&|map| map.truncate(length));
    }
    assert!(refusals > 20 && accepted > 20, "{refusals} refused, {accepted} accepted");
}

/// A `tokenizer.json` after a change, from a folder of its own.
fn from_json(name: &str, change: impl FnOnce(&mut Value)) -> Result<Tokenizer, tomo_text::TextError> {
    let mut file = fixture::json(name);
    change(&mut file);
    from_bytes(&serde_json::to_vec(&file).unwrap())
}

fn from_bytes(bytes: &[u8]) -> Result<Tokenizer, tomo_text::TextError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, bytes).unwrap();
    Tokenizer::from_file(&path)
}

fn refused_json(name: &str, change: impl FnOnce(&mut Value), parts: &[&str]) {
    let error = from_json(name, change).expect_err("a refusal");
    let message = error.to_string();
    assert!(matches!(error.kind(), TextErrorKind::Malformed | TextErrorKind::Unsupported), "{message}");
    for part in parts.iter().chain(&["tokenizer.json", "hint:"]) {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn damaged_tokenizer_json_is_refused() {
    let gpt2 = "byte_level/gpt-2.json";
    refused_json(gpt2, |j| *j = json!([]), &["not a JSON object"]);
    refused_json(gpt2, |j| j["model"] = json!(null), &["no model"]);
    refused_json(gpt2, |j| j["model"] = json!({"type": "Magic"}), &["no known type"]);
    refused_json(gpt2, |j| j["model"]["type"] = json!("WordPiece"), &["WordPiece"]);
    refused_json(gpt2, |j| j["model"]["vocab"] = json!(null), &["no vocabulary"]);
    refused_json(gpt2, |j| j["model"]["vocab"]["a"] = json!(-1), &["cannot be built"]);
    refused_json(gpt2, |j| j["model"]["vocab"]["a"] = json!(1u64 << 32), &["cannot be built"]);
    refused_json(gpt2, |j| j["model"]["merges"][4] = json!("a zzzzzz"), &["do not exist", "merge 4"]);
    refused_json(gpt2, |j| j["model"]["merges"][4] = json!(["a", "zzzzzz"]), &["merge 4"]);
    refused_json(gpt2, |j| j["model"]["merges"][4] = json!([1, 2]), &["merge 4"]);
    refused_json(gpt2, |j| j["model"]["continuing_subword_prefix"] = json!("####"), &["merge 0"]);
    refused_json(gpt2, |j| j["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}), &["no length"]);
    refused_json(gpt2, |j| j["pre_tokenizer"] = json!({"type": "Nonesuch"}), &["cannot be built"]);
    refused_json(gpt2, |j| j["added_tokens"][0]["id"] = json!(7), &["another id", "endoftext"]);
    let unigram = "unigram/tokenizer.json";
    refused_json(unigram, |j| j["model"]["vocab"][9][0] = json!("y".repeat(9000)), &["token 9 is too long"]);
    refused_json(unigram, |j| j["model"]["unk_id"] = json!(100_000), &["cannot be built"]);
    refused_json(unigram, |j| j["normalizer"]["precompiled_charsmap"] = json!("AAAA"), &["compiled normalisation"]);
    refused_json(unigram, |j| j["normalizer"]["precompiled_charsmap"] = json!("*"), &["not base64"]);
    for bytes in [&b""[..], b"{", b"\xff", b"{\"model\": 1}"] {
        assert_eq!(from_bytes(bytes).unwrap_err().kind(), TextErrorKind::Malformed);
    }
    assert_eq!(Tokenizer::from_file(Path::new("no/such.json")).unwrap_err().kind(), TextErrorKind::Io);
}

/// Values in a tokenizer.json replaced one after the other by others of every type: refused, or it encodes or says why not.
#[test]
fn mutated_tokenizer_json_never_panics() {
    for name in ["byte_level/llama-bpe.json", "sentencepiece/tokenizer.json", "unigram/tokenizer.json"] {
        let good = fixture::json(name);
        let mut places = Vec::new();
        collect(&good, String::new(), &mut places);
        assert!(places.len() > 40, "{name}: {places:?}");
        for place in &places {
            for value in [
                json!(null),
                json!(0),
                json!(-1),
                json!(1e300),
                json!(""),
                json!("\u{2581}"),
                json!([]),
                json!({}),
                json!(true),
            ] {
                let mut file = good.clone();
                *file.pointer_mut(place).unwrap() = value;
                if let Ok(tokenizer) = from_bytes(&serde_json::to_vec(&file).unwrap()) {
                    let _ = tokenizer.encode("Hello <|im_end|> w\u{f6}rld \u{4e2d} 123\n");
                    let _ = (tokenizer.vocab_size(), tokenizer.bos(), tokenizer.digest().len());
                }
            }
        }
    }
}

/// Paths to everything in a file but most of its vocabulary and merges.
fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    const FEW: usize = 3;
    match value {
        Value::Object(map) => {
            let most = if map.len() > 50 { FEW } else { map.len() };
            for (key, value) in map.iter().take(most) {
                collect(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            let most = if items.len() > 50 { FEW } else { items.len() };
            (0..most).for_each(|index| collect(&items[index], format!("{at}/{index}"), places));
        }
        _ => {}
    }
    places.push(at);
}

#[test]
fn endless_white_space_is_refused_not_mistaken_for_a_word() {
    let tokenizer = Tokenizer::from_gguf(&base()).unwrap();
    tokenizer.encode(&" ".repeat(10_000)).unwrap();
    let error = tokenizer.encode(&format!("a{}b", " \n".repeat(200_000))).unwrap_err();
    assert_eq!(error.kind(), TextErrorKind::Text);
    assert!(error.to_string().contains("found: 400000"), "{error}");
}
