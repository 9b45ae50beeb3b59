//! `tokenizer.json` and what belongs to it: `tokenizer_config.json`, `special_tokens_map.json`.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, ModelWrapper};

use super::metadata::MAX_TOKEN_BYTES;
use super::{Parts, charsmap};
use crate::{TextError, TextErrorKind};

/// The largest known (vocabularies of 260 thousand tokens) have 35 MB.
const MAX_BYTES: u64 = 256 << 20;

/// The tokenizer in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Parts, TextError> {
    let bytes = bytes_of(path)?;
    let mut file: Value = parse(&bytes).map_err(|e| e.in_file(path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let config = beside(folder, "tokenizer_config.json")?;
    let special = beside(folder, "special_tokens_map.json")?;
    build(&mut file, &config, &special, &bytes).map_err(|e| e.in_file(path))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, TextError> {
    let io = |e| TextError::io("cannot read a tokenizer", path, e);
    let length = fs::metadata(path).map_err(io)?.len();
    if length > MAX_BYTES {
        return Err(TextError::new(TextErrorKind::Malformed, "the tokenizer file is too large")
            .in_file(path)
            .expected(format!("at most {MAX_BYTES} bytes"))
            .found(format!("{length} bytes")));
    }
    fs::read(path).map_err(io)
}

fn parse(bytes: &[u8]) -> Result<Value, TextError> {
    serde_json::from_slice(bytes).map_err(|e| damaged("the file is not JSON").found(e.to_string()))
}

/// A JSON object in a file that need not exist.
fn beside(folder: &Path, name: &str) -> Result<Map<String, Value>, TextError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(Map::new());
    }
    match parse(&bytes_of(&path)?).map_err(|e| e.in_file(&path))? {
        Value::Object(map) => Ok(map),
        _ => Err(damaged("the file is not a JSON object").in_file(&path)),
    }
}

fn build(
    file: &mut Value,
    config: &Map<String, Value>,
    special: &Map<String, Value>,
    bytes: &[u8],
) -> Result<Parts, TextError> {
    let post_processor = prepare(file)?;
    let listed = file.get("added_tokens").and_then(Value::as_array).cloned().unwrap_or_default();
    let inner = serde_json::from_value::<tokenizers::Tokenizer>(file.take());
    let mut inner = inner.map_err(|e| damaged("the tokenizer cannot be built").found(e.to_string()))?;
    check_added(&inner, &listed)?;
    add_from_config(&mut inner, config)?;
    inner.set_encode_special_tokens(config.get("split_special_tokens").and_then(Value::as_bool).unwrap_or(false));
    let model = match inner.get_model() {
        ModelWrapper::BPE(_) => "BPE",
        ModelWrapper::Unigram(_) => "unigram",
        ModelWrapper::WordLevel(_) => "word level",
        ModelWrapper::WordPiece(_) => return Err(word_piece()),
    };
    let named = |name: &str| {
        let text = |map: &Map<String, Value>| content(map.get(name)?).map(str::to_owned);
        let token = text(config).or_else(|| text(special))?;
        inner.token_to_id(&token)
    };
    let (bos, eos) = (named("bos_token"), named("eos_token"));
    let prefix = prefix_of(&post_processor, &inner);
    let (bos, adds_bos) = match config.get("add_bos_token").and_then(Value::as_bool) {
        Some(adds) => (bos.or(prefix), adds && bos.or(prefix).is_some()),
        None => (prefix.or(bos), prefix.is_some()),
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"tokenizer.json\0").update(bytes);
    let size = inner.get_vocab(true).values().max().map_or(0, |&id| u64::from(id) + 1);
    let kind = format!("tokenizer.json ({model})");
    Ok(Parts { inner, bos, eos, adds_bos, kind, size, hasher })
}

/// Takes out what would change tokens from run to run or for other uses than ours (dropout, truncation, padding), checks what the
/// library does not check, and returns the post-processor.
fn prepare(file: &mut Value) -> Result<Value, TextError> {
    let Value::Object(map) = file else { return Err(damaged("the file is not a JSON object")) };
    for key in ["truncation", "padding", "decoder"] {
        map.insert(key.to_owned(), Value::Null);
    }
    let post_processor = map.insert("post_processor".to_owned(), Value::Null).unwrap_or(Value::Null);
    for key in ["normalizer", "pre_tokenizer"] {
        map.get(key).map_or(Ok(()), check_step)?;
    }
    let Some(Value::Object(model)) = map.get_mut("model") else {
        return Err(damaged("the file has no model").expected("an object under \"model\""));
    };
    match model.get("type").and_then(Value::as_str) {
        Some("WordPiece") => return Err(word_piece()),
        Some("Unigram") => check_pieces(model)?,
        Some("WordLevel") => {}
        _ if model.contains_key("merges") => {
            model.insert("dropout".to_owned(), Value::Null);
            check_merges(model)?;
        }
        _ => return Err(damaged("the model is of no known type").expected("BPE, Unigram or WordLevel")),
    }
    Ok(post_processor)
}

/// Steps that the library would panic on: a compiled normalisation that leads outside itself, pieces of no length.
fn check_step(step: &Value) -> Result<(), TextError> {
    match step {
        Value::Array(steps) => steps.iter().try_for_each(check_step),
        Value::Object(map) => {
            if map.get("type").and_then(Value::as_str) == Some("FixedLength")
                && map.get("length").and_then(Value::as_u64) == Some(0)
            {
                return Err(damaged("a pre-tokenizer that cuts pieces of no length"));
            }
            if let Some(Value::String(map)) = map.get("precompiled_charsmap") {
                let bytes = base64::engine::general_purpose::STANDARD.decode(map);
                let bytes =
                    bytes.map_err(|e| damaged("a compiled normalisation that is not base64").found(e.to_string()))?;
                charsmap::check(&bytes)?;
            }
            map.values().try_for_each(check_step)
        }
        _ => Ok(()),
    }
}

fn check_pieces(model: &Map<String, Value>) -> Result<(), TextError> {
    let pieces = model.get("vocab").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (id, piece) in pieces.iter().enumerate() {
        let length = piece.get(0).and_then(Value::as_str).map_or(0, str::len);
        if length > MAX_TOKEN_BYTES {
            return Err(damaged(format!("token {id} is too long")).found(format!("{length} bytes")));
        }
    }
    Ok(())
}

/// Both parts of a merge and what they make must be tokens: the library copies the result into a buffer as long as the longest
/// token, and cuts the prefix off the second part without looking.
fn check_merges(model: &Map<String, Value>) -> Result<(), TextError> {
    let Some(vocabulary) = model.get("vocab").and_then(Value::as_object) else {
        return Err(damaged("the model has no vocabulary"));
    };
    let merges = model.get("merges").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let prefix = model.get("continuing_subword_prefix").and_then(Value::as_str).unwrap_or_default();
    for (index, merge) in merges.iter().enumerate() {
        let wrong = || damaged("a merge of tokens that do not exist").found(format!("merge {index}: {merge}"));
        let (left, right) = match merge {
            // The first line of merges.txt, as the library skips it.
            Value::String(text) if text.starts_with("#version") => continue,
            Value::String(text) => text.split_once(' ').ok_or_else(wrong)?,
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(left), Value::String(right)] => (left.as_str(), right.as_str()),
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        let rest = right.get(prefix.len()..).ok_or_else(wrong)?;
        let known = |token: &str| vocabulary.contains_key(token);
        if !(known(left) && known(right) && known(&format!("{left}{rest}"))) {
            return Err(wrong());
        }
    }
    Ok(())
}

/// The library numbers added tokens itself; the file says which numbers the model was trained with.
fn check_added(inner: &tokenizers::Tokenizer, listed: &[Value]) -> Result<(), TextError> {
    for token in listed {
        let Some(text) = content(token).filter(|t| !t.is_empty()) else { continue };
        let (said, given) = (token.get("id").and_then(Value::as_u64), inner.token_to_id(text).map(u64::from));
        if said != given {
            return Err(damaged("an added token has another id than the file says")
                .expected(format!("{text:?} as {said:?}"))
                .found(format!("{given:?}")));
        }
    }
    Ok(())
}

/// Tokens that only tokenizer_config.json lists, as transformers adds them.
fn add_from_config(inner: &mut tokenizers::Tokenizer, config: &Map<String, Value>) -> Result<(), TextError> {
    let Some(Value::Object(listed)) = config.get("added_tokens_decoder") else { return Ok(()) };
    let mut tokens: Vec<(u32, AddedToken)> = Vec::new();
    for (id, token) in listed {
        let (Ok(id), Some(text)) = (id.parse(), content(token)) else { continue };
        if inner.get_added_vocabulary().get_vocab().contains_key(text) {
            continue;
        }
        let flag = |name: &str| token.get(name).and_then(Value::as_bool);
        let special = flag("special").unwrap_or(false);
        let token = AddedToken::from(text, special)
            .single_word(flag("single_word").unwrap_or(false))
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .normalized(flag("normalized").unwrap_or(!special));
        tokens.push((id, token));
    }
    tokens.sort_by_key(|(id, _)| *id);
    inner
        .add_tokens(tokens.into_iter().map(|(_, token)| token))
        .map_err(|e| damaged("tokens of tokenizer_config.json cannot be added").found(e.to_string()))?;
    Ok(())
}

/// The token that a post-processor puts in front of a text.
fn prefix_of(step: &Value, inner: &tokenizers::Tokenizer) -> Option<u32> {
    let id = |token: &str| inner.token_to_id(token);
    match step.get("type")?.as_str()? {
        "Sequence" => step.get("processors")?.as_array()?.iter().find_map(|s| prefix_of(s, inner)),
        "TemplateProcessing" => {
            let name = step.get("single")?.get(0)?.get("SpecialToken")?.get("id")?.as_str()?;
            id(step.get("special_tokens")?.get(name)?.get("tokens")?.get(0)?.as_str()?)
        }
        "RobertaProcessing" | "BertProcessing" => id(step.get("cls")?.get(0)?.as_str()?),
        _ => None,
    }
}

/// A token written as its text or as an object with `content`.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

fn word_piece() -> TextError {
    TextError::new(TextErrorKind::Unsupported, "a WordPiece tokenizer")
        .expected("BPE or unigram")
        .hint("WordPiece is the tokenizer of encoders; a model that predicts the next token has another one")
}

fn damaged(what: impl Into<String>) -> TextError {
    TextError::new(TextErrorKind::Malformed, what)
        .hint("fetch the tokenizer again, or save it again with transformers (save_pretrained)")
}
