//! Tokenizers inside GGUF files, built as objects of the `tokenizers` crate.

use std::collections::BTreeMap;

use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::{NFC, Precompiled, Prepend, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};
use tomo_checkpoint::MetaValue;

use super::metadata::{Metadata, TokenType, damaged};
use super::pre::{self, PreKind};
use super::{Parts, charsmap, merges};
use crate::{TextError, TextErrorKind};

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const CHARSMAP: &str = "tokenizer.ggml.precompiled_charsmap";
const MERGES: &str = "tokenizer.ggml.merges";
/// What SentencePiece writes for a space.
const SPACE: &str = "\u{2581}";

/// Whether the metadata holds a tokenizer at all.
pub(super) fn is_present(entries: &BTreeMap<String, MetaValue>) -> bool {
    !matches!(entries.get(MODEL), None | Some(MetaValue::Text(_)))
        || matches!(entries.get(MODEL), Some(MetaValue::Text(m)) if m != "none" && m != "no_vocab")
}

/// The tokenizer in the metadata of a GGUF file.
pub(super) fn build(entries: &BTreeMap<String, MetaValue>) -> Result<Parts, TextError> {
    if !is_present(entries) {
        return Err(TextError::new(TextErrorKind::Missing, "the file has no tokenizer")
            .at(MODEL)
            .hint("put the model's tokenizer.json beside the file"));
    }
    let metadata = Metadata::read(entries)?;
    let architecture = metadata.text("general.architecture")?.unwrap_or_default();
    match metadata.text(MODEL)?.unwrap_or_default() {
        "gpt2" => byte_level(&metadata),
        "llama" if matches!(architecture, "gemma" | "gemma2" | "gemma3") => gemma(&metadata),
        "llama" => sentence_piece(&metadata),
        "gemma4" => gemma4(&metadata),
        "t5" => unigram(&metadata),
        other => Err(TextError::new(TextErrorKind::Unsupported, "a tokenizer of a kind that is not supported")
            .at(MODEL)
            .expected("gpt2 (byte-level BPE), llama (SentencePiece BPE), gemma4 or t5 (unigram)")
            .found(other)
            .hint(match other {
                "bert" => {
                    "WordPiece is the tokenizer of encoders; a model that predicts the next token has another one"
                }
                _ => "put the model's tokenizer.json beside the file",
            })),
    }
}

/// Byte-level BPE after a list of splits.
fn byte_level(metadata: &Metadata<'_>) -> Result<Parts, TextError> {
    let kind = pre_kind(metadata)?;
    let listed = metadata.merges.as_ref().ok_or_else(|| damaged("byte-level BPE without merges", MERGES))?;
    let merges = merges::listed(listed, &metadata.tokens, MERGES)?;
    let model = bpe(metadata, &metadata.tokens, merges, |b| b.ignore_merges(kind.ignores_merges))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    if kind.composes {
        inner.with_normalizer(Some(NFC)).map_err(library)?;
    }
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for split in kind.splits {
        let pattern = SplitPattern::Regex((*split).to_owned());
        steps.push(Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(library)?.into());
    }
    steps.push(ByteLevel::new(false, false, false).into());
    inner.with_pre_tokenizer(Some(PreTokenizers::new(steps)));
    let name = metadata.text(PRE)?.unwrap_or_default();
    finish(metadata, inner, format!("GGUF gpt2/{name}"), kind.adds_bos, None)
}

fn pre_kind(metadata: &Metadata<'_>) -> Result<&'static PreKind, TextError> {
    let Some(name) = metadata.text(PRE)? else {
        return Err(TextError::new(TextErrorKind::Unsupported, "the file does not say how text is split into words")
            .at(PRE)
            .expected("a pre-tokenizer kind; files written before May 2024 have none")
            .hint("convert the model again, or put its tokenizer.json beside the file"));
    };
    pre::find(name).ok_or_else(|| {
        TextError::new(TextErrorKind::Unsupported, "a pre-tokenizer kind that is not supported")
            .at(PRE)
            .expected(format!("one of {}", pre::names().collect::<Vec<_>>().join(" ")))
            .found(name)
            .hint("put the model's tokenizer.json beside the file")
    })
}

/// SentencePiece BPE: the whole text is one word, spaces are written `▁`, unknown characters as bytes.
///
/// A text, and every piece between special tokens, gets a `▁` in front even when it starts with a space, as SentencePiece, the
/// models' own tokenizer.json (`Prepend`) and llama.cpp do. transformers 5 reads the same file with `Metaspace`, which
/// leaves a text that starts with a space alone.
fn sentence_piece(metadata: &Metadata<'_>) -> Result<Parts, TextError> {
    let merges = match (&metadata.merges, &metadata.scores) {
        (Some(listed), _) => merges::listed(listed, &metadata.tokens, MERGES)?,
        (None, Some(scores)) => merges::derived(&metadata.tokens, scores)?,
        (None, None) => return Err(damaged("SentencePiece BPE without scores", "tokenizer.ggml.scores")),
    };
    let adds_space = metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let inner = spaced(metadata, &metadata.tokens, merges, adds_space)?;
    finish(metadata, inner, "GGUF llama (SentencePiece BPE)".to_owned(), true, Some(1))
}

/// Gemma 1 to 3: SentencePiece BPE whose merges follow the order of the vocabulary, not the scores, and whose runs of spaces
/// are stored as spaces.
fn gemma(metadata: &Metadata<'_>) -> Result<Parts, TextError> {
    let respelled: Vec<String> = metadata
        .tokens
        .iter()
        .map(|t| if !t.is_empty() && t.bytes().all(|b| b == b' ') { SPACE.repeat(t.len()) } else { (*t).to_owned() })
        .collect();
    let tokens: Vec<&str> = respelled.iter().map(String::as_str).collect();
    let merges = match &metadata.merges {
        Some(listed) => merges::listed(listed, &tokens, MERGES)?,
        None => {
            let order: Vec<f64> = (0..tokens.len()).map(|id| -(id as f64)).collect();
            merges::derived(&tokens, &order)?
        }
    };
    let adds_space = metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(false);
    let inner = spaced(metadata, &tokens, merges, adds_space)?;
    finish(metadata, inner, "GGUF llama (Gemma's SentencePiece BPE)".to_owned(), true, None)
}

/// Gemma 4: as before, with the merges in the file.
fn gemma4(metadata: &Metadata<'_>) -> Result<Parts, TextError> {
    let listed = metadata.merges.as_ref().ok_or_else(|| damaged("BPE without merges", MERGES))?;
    let merges = merges::listed(listed, &metadata.tokens, MERGES)?;
    let inner = spaced(metadata, &metadata.tokens, merges, false)?;
    finish(metadata, inner, "GGUF gemma4 (SentencePiece BPE)".to_owned(), true, None)
}

fn spaced(
    metadata: &Metadata<'_>,
    tokens: &[&str],
    merges: Vec<(String, String)>,
    adds_space: bool,
) -> Result<tokenizers::Tokenizer, TextError> {
    let unknown = unknown(metadata)?.and_then(|id| tokens.get(id as usize)).map(|t| (*t).to_owned());
    let falls_back = has_bytes(tokens);
    let model = bpe(metadata, tokens, merges, |builder| {
        let builder = builder.fuse_unk(true).byte_fallback(falls_back);
        match unknown {
            Some(token) if !token.is_empty() => builder.unk_token(token),
            _ => builder,
        }
    })?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if adds_space {
        steps.push(Prepend::new(SPACE.to_owned()).into());
    }
    steps.push(Replace::new(" ", SPACE).map_err(library)?.into());
    inner.with_normalizer(Some(Normalizers::new(steps))).map_err(library)?;
    Ok(inner)
}

/// The unigram model, laid out as T5's tokenizer.json: SentencePiece's compiled normalisation, words apart, `▁` before each.
fn unigram(metadata: &Metadata<'_>) -> Result<Parts, TextError> {
    let scores =
        metadata.scores.as_ref().ok_or_else(|| damaged("a unigram model without scores", "tokenizer.ggml.scores"))?;
    let unknown = unknown(metadata)?.ok_or_else(|| {
        damaged("a unigram model without a token for unknown characters", "tokenizer.ggml.unknown_token_id")
    })?;
    let normal = |id: usize| metadata.types[id] == TokenType::Normal;
    // Placeholders carry scores far below any real one; the score of an unknown character follows from the lowest.
    let lowest = (0..scores.len()).filter(|&id| normal(id)).map(|id| scores[id]).fold(0.0, f64::min);
    let pieces = metadata
        .tokens
        .iter()
        .enumerate()
        .map(|(id, token)| {
            // An empty piece cannot be in the trie, and the position is the id.
            let text = if token.is_empty() { format!("\u{0}{id}") } else { (*token).to_owned() };
            (text, if normal(id) { scores[id] } else { lowest })
        })
        .collect();
    let model = Unigram::from(pieces, Some(unknown as usize), has_bytes(&metadata.tokens)).map_err(library)?;
    let mut inner = tokenizers::Tokenizer::new(ModelWrapper::Unigram(model));
    if let Some(map) = metadata.bytes(CHARSMAP)?.filter(|map| !map.is_empty()) {
        charsmap::check(&map).map_err(|e| e.at(CHARSMAP))?;
        let compiled = Precompiled::from(&map).map_err(|e| damaged(e.to_string(), CHARSMAP))?;
        inner.with_normalizer(Some(compiled)).map_err(library)?;
    }
    for key in ["tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.add_space_prefix"] {
        if metadata.flag(key)? == Some(false) {
            return Err(TextError::new(
                TextErrorKind::Unsupported,
                "a unigram tokenizer that keeps white space as it is",
            )
            .at(key)
            .expected("true")
            .hint("put the model's tokenizer.json beside the file"));
        }
    }
    let words: [PreTokenizerWrapper; 2] =
        [WhitespaceSplit.into(), Metaspace::new('\u{2581}', PrependScheme::Always, true).into()];
    inner.with_pre_tokenizer(Some(PreTokenizers::new(words.to_vec())));
    finish(metadata, inner, "GGUF t5 (unigram)".to_owned(), false, None)
}

fn unknown(metadata: &Metadata<'_>) -> Result<Option<u32>, TextError> {
    let named = metadata.id("tokenizer.ggml.unknown_token_id")?;
    let marked = || metadata.types.iter().position(|t| *t == TokenType::Unknown).and_then(|id| u32::try_from(id).ok());
    Ok(named.or_else(marked))
}

fn has_bytes(tokens: &[&str]) -> bool {
    let bytes: std::collections::BTreeSet<&str> =
        tokens.iter().copied().filter(|t| t.len() == 6 && t.starts_with("<0x") && t.ends_with('>')).collect();
    (0..=255u8).all(|b| bytes.contains(format!("<0x{b:02X}>").as_str()))
}

fn bpe(
    metadata: &Metadata<'_>,
    tokens: &[&str],
    merges: Vec<(String, String)>,
    with: impl FnOnce(BpeBuilder) -> BpeBuilder,
) -> Result<BPE, TextError> {
    debug_assert_eq!(tokens.len(), metadata.tokens.len());
    let vocabulary: Vocab =
        tokens.iter().zip(0u32..).filter(|(t, _)| !t.is_empty()).map(|(t, id)| ((*t).to_owned(), id)).collect();
    with(BPE::builder().vocab_and_merges(vocabulary, merges)).build().map_err(library)
}

/// Adds the tokens that are matched whole in a text, and reads which token begins and ends a sequence.
fn finish(
    metadata: &Metadata<'_>,
    mut inner: tokenizers::Tokenizer,
    kind: String,
    adds_bos: bool,
    default_bos: Option<u32>,
) -> Result<Parts, TextError> {
    let default_bos = default_bos.filter(|&id| (id as usize) < metadata.tokens.len());
    let bos = metadata.id("tokenizer.ggml.bos_token_id")?.or(default_bos);
    let eos = metadata.id("tokenizer.ggml.eos_token_id")?;
    let padding = metadata.id("tokenizer.ggml.padding_token_id")?;
    let named = [bos, eos, unknown(metadata)?, padding];
    let mut added = Vec::new();
    for (id, token) in (0u32..).zip(&metadata.tokens) {
        let special =
            matches!(metadata.types[id as usize], TokenType::Control | TokenType::Unknown) || named.contains(&Some(id));
        let whole = special || metadata.types[id as usize] == TokenType::UserDefined;
        // A respelled run of spaces is no longer in the vocabulary under its own text: merges make it.
        if whole && !token.is_empty() && inner.token_to_id(token) == Some(id) {
            added.push(AddedToken::from(*token, special).normalized(false));
        }
    }
    inner.add_tokens(added).map_err(library)?;
    let adds_bos = metadata.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(adds_bos && bos.is_some());
    if adds_bos && bos.is_none() {
        return Err(damaged(
            "the tokenizer begins every sequence with BOS, and does not say which token that is",
            MODEL,
        )
        .expected("tokenizer.ggml.bos_token_id beside tokenizer.ggml.add_bos_token"));
    }
    let hasher = metadata.hash();
    Ok(Parts { inner, bos, eos, adds_bos, kind, size: metadata.tokens.len() as u64, hasher })
}

fn library(error: impl std::fmt::Display) -> TextError {
    damaged("the tokenizer cannot be built", MODEL).found(error.to_string())
}
