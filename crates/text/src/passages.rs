//! What a text holds, in little: enough to say later whether another text has passages in common with it.
//!
//! A passage is a run of 32 tokens. A sketch keeps the 1,024 smallest hashes of all passages (bottom-k, Broder 1997): a
//! sample that two sketches draw alike, so that the share of one text that is in the other can be estimated from a few kilobytes of
//! numbers that give no text away.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::Windows;

/// Tokens of a passage; a shorter sequence is one passage.
const PASSAGE: usize = 32;
/// Hashes that are kept.
const MOST: usize = 1024;
/// How a sketch is written, before its hashes.
const HEAD: &str = "passages32:";
/// Digits of a hash.
const DIGITS: usize = 16;

/// A sample of the passages of a text.
///
/// As text: `passages32:` and the hashes in ascending order, 16 hexadecimal digits each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passages(BTreeSet<u64>);

/// How much of a text is in another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Overlap {
    /// Passages of the text that were looked for: all, or those that the sample of the other would hold.
    pub looked_for: usize,
    /// Those that were found.
    pub found: usize,
}

/// Text that is no [`Passages`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotPassages;

impl fmt::Display for NotPassages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a sketch of a text that cannot be read: expected {HEAD} and at most {MOST} hashes in ascending order"
        )
    }
}

impl std::error::Error for NotPassages {}

impl Passages {
    /// A sketch of both texts together.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.0.extend(&other.0);
        while self.0.len() > MOST {
            self.0.pop_last();
        }
        self
    }
}

impl Overlap {
    /// Share of the passages that were looked for; 0 of none.
    pub fn share(&self) -> f64 {
        self.found as f64 / (self.looked_for as f64).max(1.0)
    }
}

impl Windows {
    /// A sketch of what these windows hold.
    pub fn passages(&self) -> Passages {
        Passages(BTreeSet::new()).with(&Passages(self.hashes().collect()))
    }

    /// How much of this text is in the one that `other` is a sketch of.
    pub fn overlap(&self, other: &Passages) -> Overlap {
        // A full sample knows nothing of hashes above its last one.
        let last = if other.0.len() < MOST { u64::MAX } else { other.0.last().copied().unwrap_or(u64::MAX) };
        let own: BTreeSet<u64> = self.hashes().filter(|hash| *hash <= last).collect();
        Overlap { looked_for: own.len(), found: own.intersection(&other.0).count() }
    }

    fn hashes(&self) -> impl Iterator<Item = u64> {
        self.sequences.iter().flat_map(|sequence| sequence.windows(PASSAGE.min(sequence.len()).max(1))).map(hash)
    }
}

fn hash(passage: &[u32]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    passage.iter().for_each(|id| {
        hasher.update(&id.to_le_bytes());
    });
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

impl fmt::Display for Passages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.0.iter().try_for_each(|hash| write!(f, "{hash:0DIGITS$x}"))
    }
}

impl FromStr for Passages {
    type Err = NotPassages;

    fn from_str(text: &str) -> Result<Self, NotPassages> {
        let digits = text.strip_prefix(HEAD).ok_or(NotPassages)?.as_bytes();
        let (hashes, rest) = digits.as_chunks::<DIGITS>();
        if !rest.is_empty() || hashes.len() > MOST {
            return Err(NotPassages);
        }
        let read = |hash: &[u8; DIGITS]| {
            let hash = std::str::from_utf8(hash).ok().filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u64::from_str_radix(hash, 16).ok()
        };
        let hashes: Vec<u64> = hashes.iter().map(read).collect::<Option<_>>().ok_or(NotPassages)?;
        match hashes.windows(2).all(|pair| pair[0] < pair[1]) {
            true => Ok(Self(hashes.into_iter().collect())),
            false => Err(NotPassages),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequences of so many tokens, those of a text that never repeats itself.
    fn windows(starts: &[u32], length: u32) -> Windows {
        let sequences = starts.iter().map(|start| (*start..start + length).collect()).collect();
        Windows { sequences, notes: Vec::new(), description: String::new() }
    }

    #[test]
    fn small_texts_are_compared_passage_by_passage() {
        // 100 - 32 + 1 = 69 passages each; windows at 1000 and at 1050 have tokens 1050 to 1099 in common, 19 passages.
        let held_out = windows(&[0, 1050], 100);
        let found = held_out.overlap(&windows(&[1000, 5000], 100).passages());
        assert_eq!(found, Overlap { looked_for: 138, found: 19 });
        assert!((found.share() - 19.0 / 138.0).abs() < 1e-15);
        assert_eq!(held_out.overlap(&windows(&[2000, 3000], 100).passages()).found, 0);
        // 31 tokens in common are no passage, and sequences shorter than one are compared whole.
        assert_eq!(held_out.overlap(&windows(&[1119], 100).passages()).found, 0);
        let short = windows(&[0, 10], 5);
        assert_eq!(short.overlap(&windows(&[10, 20], 5).passages()), Overlap { looked_for: 2, found: 1 });
    }

    #[test]
    fn large_texts_are_compared_by_a_sample() {
        let starts = |from: u32, to: u32| (from..to).map(|n| n * 10_000).collect::<Vec<u32>>();
        let known = windows(&starts(0, 40), 512).passages();
        // 481 passages each in 40 windows, of which 1,024 are kept, one in 18.8: of 20 windows in question 512 are looked for, give
        // or take three standard deviations of 22.
        let half = windows(&starts(30, 50), 512).overlap(&known);
        assert!((446..578).contains(&half.looked_for), "{half:?}");
        assert!((half.share() - 0.5).abs() < 0.07, "{half:?}");
        assert_eq!(windows(&starts(40, 60), 512).overlap(&known).found, 0);
        let both = known.clone().with(&windows(&starts(40, 80), 512).passages());
        assert_eq!(both, windows(&starts(0, 80), 512).passages());
        let all = windows(&starts(0, 40), 512).overlap(&known);
        assert_eq!(all, Overlap { looked_for: 1024, found: 1024 });
    }

    #[test]
    fn text_and_back() {
        for known in [windows(&[0], 100).passages(), windows(&[0, 10_000, 20_000], 512).passages()] {
            let text = known.to_string();
            assert_eq!(text.parse(), Ok(known.clone()));
            assert_eq!(text.len(), HEAD.len() + 16 * known.0.len());
        }
        for wrong in ["", "passages32", "passages32:0", "passages32:+000000000000001", "passages33:0000000000000001"] {
            assert_eq!(wrong.parse::<Passages>(), Err(NotPassages), "{wrong}");
        }
        let descending = format!("{HEAD}{:016x}{:016x}", 2, 1);
        let long: String = (0..=MOST).map(|n| format!("{n:016x}")).collect();
        assert!(descending.parse::<Passages>().is_err() && format!("{HEAD}{long}").parse::<Passages>().is_err());
        assert_eq!(HEAD.parse::<Passages>().map(|p| p.0.len()), Ok(0));
    }
}
