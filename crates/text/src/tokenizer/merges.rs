//! Merges of BPE: as a file lists them, or derived from a SentencePiece vocabulary.

use std::collections::HashMap;

use super::metadata::damaged;
use crate::TextError;

/// Merges a file lists, `left right`. Both parts and what they make must be tokens: the library copies the result into a buffer
/// as long as the longest token.
pub(super) fn listed(merges: &[&str], tokens: &[&str], key: &str) -> Result<Vec<(String, String)>, TextError> {
    let known: HashMap<&str, u32> = tokens.iter().copied().zip(0..).collect();
    let mut made = String::new();
    let mut out = Vec::with_capacity(merges.len());
    for (index, merge) in merges.iter().enumerate() {
        let wrong = |what: &str| damaged(what, key).found(format!("merge {index}: {merge:?}"));
        let parts = merge.split_once(' ').filter(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains(' '));
        let (left, right) = parts
            .ok_or_else(|| wrong("a merge is not two tokens").expected("two tokens with one space between them"))?;
        made.clear();
        made.push_str(left);
        made.push_str(right);
        for token in [left, right, &made] {
            if !known.contains_key(token) {
                return Err(
                    wrong("a merge of tokens that do not exist").expected(format!("{token:?} in the vocabulary"))
                );
            }
        }
        out.push((left.to_owned(), right.to_owned()));
    }
    Ok(out)
}

/// The merges that a SentencePiece vocabulary implies: every way to cut a token into two tokens, tokens of higher `ranks`
/// first, then longer left parts. After `generate_merges` of transformers.
pub(super) fn derived(tokens: &[&str], ranks: &[f64]) -> Vec<(String, String)> {
    let known: HashMap<&str, u32> = tokens.iter().copied().zip(0..).collect();
    struct Cut<'a> {
        rank: f64,
        left: &'a str,
        right: &'a str,
        chars: (usize, usize),
    }
    let mut cuts = Vec::new();
    for (token, &rank) in tokens.iter().zip(ranks) {
        let length = token.chars().count();
        let start = cuts.len();
        for (chars, (at, _)) in token.char_indices().enumerate().skip(1) {
            let (left, right) = token.split_at(at);
            if known.contains_key(left) && known.contains_key(right) {
                cuts.push(Cut { rank, left, right, chars: (chars, length - chars) });
            }
        }
        cuts[start..].sort_by_key(|cut| (known.get(cut.left), known.get(cut.right)));
    }
    // Stable, as Python's sort is: equal keys keep the order of the vocabulary.
    cuts.sort_by(|a, b| b.rank.total_cmp(&a.rank).then_with(|| b.chars.cmp(&a.chars)));
    cuts.into_iter().map(|cut| (cut.left.to_owned(), cut.right.to_owned())).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports failure")]
mod tests {
    use std::path::Path;

    use tomo_checkpoint::{Config, open};

    use super::derived;
    use crate::tokenizer::metadata::Metadata;

    /// The merges in `tokenizer.json` are those of `generate_merges` of transformers, for the vocabulary in the GGUF file.
    #[test]
    fn derived_merges_are_those_of_transformers_in_the_same_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers/sentencepiece");
        let file: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("tokenizer.json")).unwrap()).unwrap();
        let expected: Vec<(String, String)> = serde_json::from_value(file["model"]["merges"].clone()).unwrap();
        let source = open(&folder.join("prefix.gguf")).unwrap();
        let Config::Gguf(entries) = source.config() else { panic!("no metadata") };
        let metadata = Metadata::read(entries).unwrap();
        let found = derived(&metadata.tokens, metadata.scores.as_ref().unwrap());
        assert!(expected.len() > 300, "{}", expected.len());
        assert_eq!(found, expected);
    }
}
