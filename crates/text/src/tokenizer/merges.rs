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
pub(super) fn derived(tokens: &[&str], ranks: &[f64]) -> Result<Vec<(String, String)>, TextError> {
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
    Ok(cuts.into_iter().map(|cut| (cut.left.to_owned(), cut.right.to_owned())).collect())
}
